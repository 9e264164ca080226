"""A store in a file: one process writes it, and what happens to the file is noticed."""

import asyncio
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError, HEMError
from tests.nobody import nobody
from tests.soak.full_disk import full_disk
from tests.transformers_hem.feedback.records import decided, said
from tests.waiting import eventually
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.lock import Lock
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.reading import examples, reading
from transformers_hem.feedback.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


def writer_of(path: Path) -> Writer:
    place = read_place(str(path))
    writer = Writer(lambda create: open_database(place, create=create), linger=0.01)
    writer.start()
    return writer


def requests_in(path: Path) -> set[str]:
    with reading(read_place(str(path))) as connection:
        return {example.feedback.request_id for example in examples(connection)}


def pair(request_id: str) -> Unit:
    return Unit((decided(request_id),), (said(request_id),))


async def kept_in_time(writer: Writer, unit: Unit) -> None:
    """Once the store is tried again."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await writer.keep(unit)
            except Unusable:
                await asyncio.sleep(0.1)


async def test_a_second_process_is_refused_with_the_reason_until_the_first_ends(path: Path) -> None:
    first = writer_of(path)
    await first.keep(pair("r1"))
    second = writer_of(path)
    with pytest.raises(Unusable, match=r"another process.*PostgreSQL"):
        await second.keep(pair("r2"))
    await asyncio.to_thread(first.close)
    await kept_in_time(second, pair("r2"))
    await asyncio.to_thread(second.close)
    assert requests_in(path) == {"r1", "r2"}


async def test_a_server_that_nobody_asks_takes_the_file_as_soon_as_it_is_free(path: Path) -> None:
    first = writer_of(path)
    await first.keep(pair("r1"))
    second = writer_of(path)
    with pytest.raises(Unusable, match="another process"):
        await second.keep(pair("r2"))
    await asyncio.to_thread(first.close)

    def is_taken() -> bool:
        try:
            Lock(path).close()
        except Unusable:
            return True
        return False

    await asyncio.to_thread(eventually, is_taken)
    await asyncio.to_thread(second.close)


async def test_a_locked_file_refuses_and_is_written_again_afterwards(path: Path) -> None:
    writer = writer_of(path)
    await writer.keep(pair("r1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unusable, match="database is locked"):
        await writer.keep(pair("r2"))
    other.execute("ROLLBACK")
    await writer.keep(pair("r3"))
    await asyncio.to_thread(writer.close)
    assert requests_in(path) == {"r1", "r3"}


async def test_a_file_that_is_gone_is_not_made_anew_and_may_come_back(
    path: Path, tmp_path: Path
) -> None:
    writer, aside = writer_of(path), tmp_path / "aside"
    await writer.keep(pair("r1"))
    aside.mkdir()
    names = [path.name + suffix for suffix in ("", "-wal", "-shm")]
    for name in names:
        (tmp_path / name).rename(aside / name)
    for _ in range(3):
        with pytest.raises(Unusable, match="gone"):
            await writer.keep(pair("r2"))
        await asyncio.sleep(0.5)
    assert not path.exists()
    for name in names:
        if (aside / name).exists():
            (aside / name).rename(tmp_path / name)
    await kept_in_time(writer, pair("r3"))
    await asyncio.to_thread(writer.close)
    assert requests_in(path) == {"r1", "r3"}


async def test_an_older_copy_that_is_put_back_is_noticed_before_anything_is_acknowledged(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    copy = tmp_path / "copy"
    writer = writer_of(path)
    await writer.keep(pair("r1"))
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    await writer.keep(pair("r2"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink()
    os.replace(copy, path)
    with pytest.raises(Unusable, match="another file than before"):
        await writer.keep(pair("r3"))
    await kept_in_time(writer, pair("r4"))
    await asyncio.to_thread(writer.close)
    assert requests_in(path) == {"r1", "r4"}
    assert "2 of the 4 records that were kept" in caplog.text


async def test_an_older_copy_is_noticed_at_the_next_start_too(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        writer = writer_of(path)
        await writer.keep(pair(f"r{number}"))
        await asyncio.to_thread(writer.close)
        if number == 1:
            shutil.copy(path, tmp_path / "copy")
    os.replace(tmp_path / "copy", path)
    caplog.set_level(logging.ERROR)
    writer = writer_of(path)
    await writer.keep(pair("r3"))
    await asyncio.to_thread(writer.close)
    assert "older copy" in caplog.text and "2 of the 4 records" in caplog.text
    assert requests_in(path) == {"r1", "r3"}


async def test_a_full_disk_refuses_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    with full_disk(tmp_path / "disk") as disk:
        if disk.why_not:
            pytest.skip(disk.why_not)
        path = disk.folder / "feedback.db"
        writer = writer_of(path)
        await writer.keep(pair("r1"))
        disk.fill()
        acknowledged = {"r1"}
        with pytest.raises(Unusable, match=r"full|disk I/O"):
            for number in range(2, 1000):
                long = decided(f"r{number}", query="long " * 2000)
                await writer.keep(Unit((long,), (said(f"r{number}"),)))
                acknowledged.add(f"r{number}")
        disk.free()
        await kept_in_time(writer, pair("after"))
        await asyncio.to_thread(writer.close)
        assert requests_in(path) == acknowledged | {"after"}


def test_the_file_of_another_program_stays_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    content = path.read_bytes()
    with pytest.raises(ConfigurationError, match="another program"):
        open_database(read_place(str(path)))
    assert path.read_bytes() == content


def test_a_damaged_file_is_refused_with_the_reason(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)

    async def keeps() -> None:
        writer = writer_of(path)
        with pytest.raises(Unusable, match="not a database"):
            await writer.keep(pair("r1"))
        await asyncio.to_thread(writer.close)

    asyncio.run(keeps())


def test_who_may_not_write_beside_a_file_is_told_how_it_can_be_read() -> None:
    def told() -> str:
        with nobody(), pytest.raises(HEMError) as refused, reading(read_place(str(path))):
            pass
        return str(refused.value)

    with tempfile.TemporaryDirectory() as folder:  # that others may look into
        path = Path(folder) / "feedback.db"
        open_database(read_place(str(path))).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        assert "SQLite writes feedback.db-shm beside it" in told()
        path.chmod(0)
        assert told().endswith("unable to open database file: Permission denied")
        Path(folder).chmod(0)
        assert told().endswith("can't be read: Permission denied")
        Path(folder).chmod(0o755)


def test_a_file_or_a_folder_that_may_not_be_written_is_refused_with_the_reason() -> None:
    def told() -> str:
        with nobody(), pytest.raises(Unusable) as refused:
            open_database(read_place(str(path)))
        return str(refused.value)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feedback.db"
        Path(folder).chmod(0o555)
        assert told().endswith(f"{folder} may not be written by this user, or is read-only")
        Path(folder).chmod(0o777)
        open_database(read_place(str(path))).close()
        path.chmod(0o444)
        assert told().endswith(f"{path} may not be written by this user, or is read-only")


def test_the_settings_of_a_server_without_feedback_import_no_sqlalchemy() -> None:
    code = (
        "import sys, transformers_hem.serving.settings, transformers_hem.feedback.build, "
        "inferencegraph.cli; print([n for n in ('sqlalchemy', 'alembic', 'psycopg') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
