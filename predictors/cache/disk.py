"""A store in an SQLite file: what was written first goes first.

SQLite because it answers a damaged file or a full disk with an error (stores that map their file
into memory die of it), keeps bytes as they are, and is part of Python. One process at a time uses
a file; while another one has it (a rolling update), or it can't be opened for another reason, it
is tried again from time to time. Keys hold the model, so another model's records are never hits.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from predictors.cache.store import Store, StoreError
from predictors.errors import ConfigurationError

T = TypeVar("T")

RETRY_SECONDS: Final = 30.0
OVERHEAD_BYTES: Final = 64  # of a row and its place in the index, about
_SIZE: Final = f"length(key) + length(record) + {OVERHEAD_BYTES}"
_APPLICATION_ID: Final = 0x48454D01  # in the file's header, so that no other database is taken
_TABLE: Final = (
    "CREATE TABLE answers (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, record BLOB NOT NULL)"
)


class ForeignFile(Exception):
    """The file is another program's database, and stays as it is."""


class DiskStore(Store):
    """Once the file is open, SQLite runs in one thread of the store's own."""

    def __init__(self, path: Path, limit: int, retry_seconds: float = RETRY_SECONDS) -> None:
        self._path = path
        self._limit = limit
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._failure = ""
        self._database: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")

    def open(self) -> None:
        try:
            self._guarded(lambda database: None)
        except StoreError as error:
            if isinstance(error.__cause__, ForeignFile):
                raise ConfigurationError(str(error)) from None
            raise

    async def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        wanted = list(keys)
        return await self._run(lambda database: _read(database, wanted))

    async def write(self, records: Mapping[bytes, bytes]) -> None:
        await self._run(lambda database: self._write(database, records))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._database or self._opened())
        except sqlite3.Error as error:
            raise StoreError(f"cache {self._path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        """Fails with the same words until the file is to be tried again."""
        if time.monotonic() < self._retry_at:
            raise StoreError(self._failure)
        try:
            self._database = self._connect()
        except (sqlite3.Error, OSError, ForeignFile) as error:
            self._retry_at = time.monotonic() + self._retry_seconds
            self._failure = f"cache {self._path} can't be opened: {error}"
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                self._failure += "; another process has it, and each model needs a file of its own"
            raise StoreError(self._failure) from error
        return self._database

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)  # answers are for nobody else to read
        database = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            # No write waits for the disk: what a crash of the machine loses is computed again.
            database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF;")
            database.execute("BEGIN IMMEDIATE")
            _take(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode=WAL")  # written into the file, so once it is ours
            self._count(database)
        except BaseException:
            database.close()
            raise
        return database

    def _count(self, database: sqlite3.Connection) -> None:
        count, size = database.execute(f"SELECT count(*), total({_SIZE}) FROM answers").fetchone()
        self.entries, self.size = int(count), int(size)

    def _write(self, database: sqlite3.Connection, records: Mapping[bytes, bytes]) -> None:
        database.execute("BEGIN IMMEDIATE")
        try:
            for key, record in records.items():
                size = len(key) + len(record) + OVERHEAD_BYTES
                if size > self._limit:
                    continue
                self._drop(database, "key = ?", key)
                database.execute("INSERT INTO answers (key, record) VALUES (?, ?)", (key, record))
                self.size += size
                self.entries += 1
                while self.size > self._limit:
                    self._drop(database, "id = (SELECT min(id) FROM answers)")
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._count(database)
            raise

    def _drop(self, database: sqlite3.Connection, which: str, *values: bytes) -> None:
        """Deletes one row, if it is there."""
        row = database.execute(f"DELETE FROM answers WHERE {which} RETURNING {_SIZE}", values)
        if (size := row.fetchone()) is not None:
            self.size -= int(size[0])
            self.entries -= 1

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _take(database: sqlite3.Connection) -> None:
    """Makes the table of a new file, or checks that an old file is a cache.

    Raises ForeignFile, and sqlite3.DatabaseError for a damaged file.
    """
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    if application_id == _APPLICATION_ID:
        return
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master"))
    if tables.get("answers") == _TABLE:
        raise sqlite3.DatabaseError(f"its header is damaged: application id {application_id:#x}")
    if tables:
        raise ForeignFile("it is another program's database")
    database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    database.execute(_TABLE)


def _read(database: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
    records = {}
    for key in keys:
        row = database.execute("SELECT record FROM answers WHERE key = ?", (key,)).fetchone()
        if row is not None:
            records[key] = bytes(row[0])
    return records
