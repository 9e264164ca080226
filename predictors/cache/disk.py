"""A store in an SQLite file: what was written first goes first.

SQLite because it answers a damaged file or a full disk with an error (stores that map their file
into memory die of it), keeps bytes as they are, and is part of Python. One process at a time uses
a file; while another one has it (a rolling update), or it can't be opened for another reason, it
is tried again from time to time.
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
_SCHEMA: Final = (
    f"PRAGMA application_id={_APPLICATION_ID}",
    "CREATE TABLE owner (model_name TEXT NOT NULL)",
    "CREATE TABLE answers (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, record BLOB NOT NULL)",
)


_TABLES: Final = frozenset({"owner", "answers"})


class AnothersFile(StoreError):
    """The file is another model's, or another program's, and stays as it is."""


class DiskStore(Store):
    """`model_name` owns the file. Once it is open, SQLite runs in one thread of the store's own."""

    def __init__(
        self, path: Path, limit: int, model_name: str, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._path = path
        self._limit = limit
        self._owner = model_name
        self._database: sqlite3.Connection | None = None
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._failure = ""
        self._size = self._entries = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cache")

    @property
    def size(self) -> int:
        return self._size

    @property
    def entries(self) -> int:
        return self._entries

    def open(self) -> None:
        try:
            self._guarded(lambda database: None)
        except AnothersFile as error:
            raise ConfigurationError(str(error)) from None

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
            return work(self._connected())
        except sqlite3.Error as error:
            raise StoreError(f"cache {self._path}: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            if time.monotonic() < self._retry_at:
                raise StoreError(self._failure)
            try:
                self._connect()
            except AnothersFile as error:
                self._wait(str(error))
                raise
            except (sqlite3.Error, OSError) as error:
                self._wait(f"cache {self._path} can't be opened: {error}")
                raise StoreError(self._failure) from error
        assert self._database is not None
        return self._database

    def _wait(self, failure: str) -> None:
        """Refuses with the same words until the file is to be tried again."""
        self._retry_at = time.monotonic() + self._retry_seconds
        self._failure = failure

    def _connect(self) -> None:
        self._path.touch(mode=0o600)  # answers are nobody else's to read
        database = sqlite3.connect(
            self._path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            # No write waits for the disk: what a crash of the machine loses is computed again.
            database.executescript("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF;")
            database.execute("BEGIN IMMEDIATE")
            self._own(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode=WAL")  # written into the file, so once it is ours
            self._count(database)
        except BaseException:
            database.close()
            raise
        self._database = database

    def _own(self, database: sqlite3.Connection) -> None:
        """Makes the tables of a new file, or checks whose an old one is.

        Raises AnothersFile, and sqlite3.DatabaseError for a damaged one.
        """
        (found,) = database.execute("PRAGMA application_id").fetchone()
        if found != _APPLICATION_ID:
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if names >= _TABLES:
                raise sqlite3.DatabaseError(f"its header is damaged: application id {found:#x}")
            if names:
                raise AnothersFile(f"cache {self._path} is another program's database")
            for statement in _SCHEMA:
                database.execute(statement)
            database.execute("INSERT INTO owner VALUES (?)", (self._owner,))
        row = database.execute("SELECT model_name FROM owner").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("it is damaged: no model owns it")
        if row != (self._owner,):
            raise AnothersFile(
                f"cache {self._path} belongs to the model {row[0]!r}; "
                f"give {self._owner!r} a file of its own"
            )

    def _count(self, database: sqlite3.Connection) -> None:
        counted = database.execute(f"SELECT count(*), total({_SIZE}) FROM answers").fetchone()
        self._entries, self._size = int(counted[0]), int(counted[1])

    def _write(self, database: sqlite3.Connection, records: Mapping[bytes, bytes]) -> None:
        fitting = [
            (key, record)
            for key, record in records.items()
            if len(key) + len(record) + OVERHEAD_BYTES <= self._limit
        ]
        database.execute("BEGIN IMMEDIATE")
        try:
            for key, record in fitting:
                self._drop(database, "key = ?", key)
                database.execute("INSERT INTO answers (key, record) VALUES (?, ?)", (key, record))
                self._size += len(key) + len(record) + OVERHEAD_BYTES
                self._entries += 1
                while self._size > self._limit:
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
            self._size -= int(size[0])
            self._entries -= 1

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def _read(database: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
    found = {}
    for key in keys:
        row = database.execute("SELECT record FROM answers WHERE key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = bytes(row[0])
    return found
