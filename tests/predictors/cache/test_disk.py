"""A cache in a file: it outlives the process, is no other program's, and may break."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from predictors.cache.disk import DiskStore
from predictors.cache.store import StoreError
from tests.predictors.cache.conftest import Start, answers, infer, metric


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as database, database:
        yield database


def fill(counting: Start, path: Path, *texts: str) -> list[str]:
    """The answers that a predictor, which has ended since, left in the file."""
    server = counting("--cache", str(path))
    found = answers(server, *texts)
    server.stop()
    return found


def test_answers_outlive_the_process(counting: Start, tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    first = fill(counting, path, "a", "b")
    again = infer(counting("--cache", str(path)), "b", "a")
    assert again["text_output"] == first[::-1]
    assert again["cached"] is True
    assert again["mean_margin"] == [0.25, 0.25]


def test_the_file_is_for_its_owner_only_and_has_no_queries_in_it(
    counting: Start, tmp_path: Path
) -> None:
    path = tmp_path / "m.cache"
    fill(counting, path, "my secret")
    files = list(tmp_path.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    with opened(path) as database:
        rows = database.execute("SELECT length(key), record FROM answers").fetchall()
    assert [length for length, _ in rows] == [16]
    assert rows[0][1].startswith(b'{"text":"my secret #1"')


def run(*options: str) -> str:
    """The last line of a predictor that can't start."""
    command = [sys.executable, "-m", "tests.predictors.cache.counting", "--engine", "counting"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()[-1]


def test_models_that_share_a_file_one_after_another_never_hit_each_others_answers(
    counting: Start, tmp_path: Path
) -> None:
    path = tmp_path / "x.cache"
    fill(counting, path, "a")
    other = counting("--cache", str(path), name="other")
    assert [infer(other, "a", name="other")["cached"] for _ in range(2)] == [False, True]
    other.stop()
    assert infer(counting("--cache", str(path)), "a")["cached"] is True


async def test_a_file_that_the_last_release_wrote_still_answers(tmp_path: Path) -> None:
    """It had a table with the name of its model."""
    path = tmp_path / "m.cache"
    with opened(path) as database:
        database.execute(f"PRAGMA application_id={0x48454D01}")
        database.execute("CREATE TABLE owner (model_name TEXT NOT NULL)")
        database.execute(
            "CREATE TABLE answers "
            "(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, record BLOB NOT NULL)"
        )
        database.execute("INSERT INTO owner VALUES ('m')")
        database.execute("INSERT INTO answers VALUES (1, x'6b6579', x'7265636f7264')")
    store = DiskStore(path, 10_000)
    store.open()
    assert (store.entries, await store.read([b"key"])) == (1, {b"key": b"record"})
    await store.write({b"new": b"record"})
    await store.close()


@pytest.mark.parametrize("table", ["accounts", "answers"])
def test_another_programs_database_is_refused_and_left_as_it_is(table: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    with opened(path) as database:
        database.execute(f"CREATE TABLE {table} (name TEXT)")
    before = path.read_bytes()
    assert "is another program's database" in run("--model_name", "m", "--cache", str(path))
    with opened(path) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [(table,)]
    assert path.read_bytes() == before


def test_another_version_of_the_model_is_another_model(counting: Start, tmp_path: Path) -> None:
    path, model = tmp_path / "m.cache", tmp_path / "model"
    model.mkdir()
    counts = []
    for weights in (b"one", b"two", b"one"):
        (model / "model.safetensors").write_bytes(weights)
        server = counting("--cache", str(path), "--model_dir", str(model))
        counts.append(infer(server, "a")["cached"])
        server.stop()
    assert counts == [False, False, True]


class TestADamagedFile:
    def check(self, counting: Start, path: Path, operation: str) -> str:
        server = counting("--cache", str(path))
        for number in range(4):
            assert answers(server, f"more {number}", f"a {number}")[1].startswith(f"a {number} #")
        assert metric(server, "hem_cache_errors_total", operation=operation) >= 1
        server.stop()
        (line,) = [x for x in server.log.read_text().splitlines() if "going on without" in x][:1]
        assert str(path) in line
        assert "Traceback" not in server.log.read_text()
        return line

    def test_of_nonsense_is_not_used(self, counting: Start, tmp_path: Path) -> None:
        path = tmp_path / "m.cache"
        path.write_bytes(b"not a database" * 500)
        assert "file is not a database" in self.check(counting, path, "open")
        assert path.read_bytes() == b"not a database" * 500

    def test_with_a_hole_in_its_middle_is_not_believed(
        self, counting: Start, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.cache"
        fill(counting, path, *(f"long a {number}" for number in range(40)))
        content = bytearray(path.read_bytes())
        content[4096 : len(content) - 4096] = b"\xff" * (len(content) - 8192)
        path.write_bytes(content)
        self.check(counting, path, "open")

    def test_of_a_damaged_header_is_not_taken_for_another_programs(
        self, counting: Start, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.cache"
        fill(counting, path, "a 0")
        content = bytearray(path.read_bytes())
        content[60:80] = b"\x5a" * 20
        path.write_bytes(content)
        assert "its header is damaged" in self.check(counting, path, "open")
        assert path.read_bytes() == content

    def test_that_has_no_table_of_answers_is_not_used(
        self, counting: Start, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.cache"
        fill(counting, path, "a 0")
        with opened(path) as database:
            database.execute("DROP TABLE answers")
        assert "no such table" in self.check(counting, path, "open")

    def test_that_is_cut_off_is_not_believed(self, counting: Start, tmp_path: Path) -> None:
        path = tmp_path / "m.cache"
        fill(counting, path, *(f"long a {number}" for number in range(40)))
        path.write_bytes(path.read_bytes()[:9000])
        self.check(counting, path, "open")

    def test_whose_record_is_no_record_is_computed_again(
        self, counting: Start, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.cache"
        fill(counting, path, "a 0")
        with opened(path) as database:
            database.execute("UPDATE answers SET record = x'7b7d'")
        server = counting("--cache", str(path))
        assert infer(server, "a 0")["cached"] is False
        assert infer(server, "a 0")["cached"] is True
        assert metric(server, "hem_cache_errors_total", operation="read") == 1


def test_on_a_full_disk_it_answers_and_keeps_what_fits(counting: Start, tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    server = counting("--cache", str(path), module="small_files")
    first = answers(server, "first")
    for number in range(20):
        many = [f"long long long {number} {row}" for row in range(8)]
        assert len(answers(server, *many)) == 8
    assert answers(server, "first") == first
    assert metric(server, "hem_cache_errors_total", operation="write") >= 1
    lines = [x for x in server.log.read_text().splitlines() if "going on without" in x]
    assert 1 <= len(lines) <= 3, "each failure is logged once"
    assert str(path) in lines[0]


def test_a_file_that_another_process_has_is_tried_again(counting: Start, tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    first = counting("--cache", str(path))
    kept = answers(first, "a")
    second = counting("--cache", str(path))
    assert infer(second, "a")["cached"] is False
    assert metric(second, "hem_cache_errors_total", operation="open") == 1
    log = second.log.read_text()
    assert "database is locked; another process has it, and each model needs a file" in log
    assert answers(first, "a") == kept


async def test_the_file_is_taken_over_when_the_other_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    old, new = (DiskStore(path, 10_000, retry_seconds=0) for _ in range(2))
    old.open()
    await old.write({b"key": b"record"})
    with pytest.raises(StoreError, match="locked"):
        new.open()
    await old.close()
    assert await new.read([b"key", b"other"]) == {b"key": b"record"}
    await new.close()


async def test_a_file_that_turns_out_to_be_another_programs_stays_as_it_is(tmp_path: Path) -> None:
    """Found when the other program lets go of it: too late to be an error of the start."""
    path = tmp_path / "accounts.sqlite"
    store = DiskStore(path, 10_000, retry_seconds=0.2)
    with opened(path) as other:
        other.execute("CREATE TABLE accounts (name TEXT)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.open()
    await asyncio.sleep(0.2)
    for _ in range(2):  # the second time in the same words, without a look at the file
        with pytest.raises(StoreError, match="it is another program's database"):
            await store.read([b"key"])
        if path.exists():
            path.rename(path.with_suffix(".moved"))
    await asyncio.sleep(0.2)
    assert await store.read([b"key"]) == {}
    await store.close()
    with opened(path.with_suffix(".moved")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("accounts",)]


async def test_what_was_written_first_makes_room(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "m.cache", 1000)
    store.open()
    for number in range(10):
        await store.write({bytes([number]) * 16: b"x" * 100})
    kept = await store.read([bytes([number]) * 16 for number in range(10)])
    assert [key[0] for key in kept] == [5, 6, 7, 8, 9]
    assert (store.entries, store.size) == (5, 5 * (16 + 100 + 64))
    await store.write({b"y" * 16: b"x" * 2000})
    assert store.entries == 5
    await store.close()
    again = DiskStore(tmp_path / "m.cache", 1000)
    again.open()
    assert (again.entries, again.size) == (5, 5 * (16 + 100 + 64))
    await again.close()
