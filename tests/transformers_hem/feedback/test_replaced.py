"""What becomes of a file's log: it is removed, or left beside another copy of the file."""

import asyncio
import logging
import os
import shutil
from pathlib import Path

import pytest

from predictors.errors import HEMError
from tests.transformers_hem.feedback.records import decided, said
from tests.transformers_hem.feedback.test_sqlite import kept_in_time, pair, requests_in, writer_of
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import read_place


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feedback.db"


async def with_a_newer_log(path: Path, copy: Path) -> None:
    """Leaves a store as `kill -9` does, and an older copy of it."""
    writer = writer_of(path)
    for number in range(30):
        await writer.keep(pair(f"old{number}"))
    await asyncio.to_thread(writer.close)
    shutil.copy(path, copy)
    aside = path.with_name("killed")
    aside.mkdir()
    writer = writer_of(path)
    for part in range(4):
        names = [f"new{part}-{number}" for number in range(400)]
        many = [decided(name, query="long " * 1500) for name in names]
        await writer.keep(Unit(many, [said(name) for name in names]))
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy2(file, aside / file.name)
    await asyncio.to_thread(writer.close)
    for file in aside.iterdir():
        os.replace(file, path.with_name(file.name))


async def test_a_log_that_is_removed_is_noticed_and_nothing_of_it_is_lost(path: Path) -> None:
    writer = writer_of(path)
    await writer.keep(pair("r1"))
    path.with_name(f"{path.name}-wal").unlink()
    with pytest.raises(Unusable, match="-wal was removed or replaced"):
        await writer.keep(pair("r2"))
    assert requests_in(path) == {"r1"}  # also for who only sees the files, as after kill -9
    await kept_in_time(writer, pair("r3"))
    await asyncio.to_thread(writer.close)
    assert requests_in(path) == {"r1", "r3"}


@pytest.mark.parametrize("by_rename", [True, False])
async def test_a_newer_log_does_not_damage_an_older_copy(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, by_rename: bool
) -> None:
    copy = tmp_path / "copy"
    await with_a_newer_log(path, copy)
    if by_rename:
        os.replace(copy, path)
    else:
        path.write_bytes(copy.read_bytes())
    caplog.set_level(logging.ERROR)
    writer = writer_of(path)
    await writer.keep(pair("after"))
    await asyncio.to_thread(writer.close)
    assert requests_in(path) == {*(f"old{number}" for number in range(30)), "after"}
    assert "60 of the 3260 records" in caplog.text and "it is left out" in caplog.text
    assert len(list(tmp_path.glob("feedback.db-wal.*"))) == 1


async def test_a_log_of_its_own_is_taken_in_wherever_the_file_was_moved(path: Path) -> None:
    await with_a_newer_log(path, path.with_name("copy"))
    os.utime(path)  # as a copy of the whole folder may have it
    writer = writer_of(path)
    await writer.keep(pair("after"))
    await asyncio.to_thread(writer.close)
    assert len(requests_in(path)) == 30 + 1600 + 1


async def test_a_copy_that_is_damaged_is_refused_and_stays_as_it_is(path: Path) -> None:
    await with_a_newer_log(path, path.with_name("copy"))
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink()
    torn = path.read_bytes()
    torn = torn[:8192] + b"\xff" * (len(torn) - 8192)
    path.write_bytes(torn)
    with pytest.raises(HEMError, match=r"is damaged .* put a copy back"):
        open_database(read_place(str(path)))
    assert path.read_bytes() == torn
