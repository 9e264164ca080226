"""Joins records of several files by a key, on disk: what is joined may be larger than memory."""

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from inferencegraph.evaluate.importing.report import LeftOut, Place
from predictors.errors import ConfigurationError

_AT_ONCE: Final = 1000


class Index:
    """Records by key. Its file has no name any more: nothing is left of it, whatever happens."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._waiting: list[tuple[str, str, int, str, bytes]] = []
        self._asked: list[tuple[str]] = []

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> "Iterator[Index]":
        """Raises ConfigurationError, also for a disk that is full while it is used inside."""
        try:
            handle, name = tempfile.mkstemp(prefix=".hem-index-", dir=folder)
            os.close(handle)
            database = sqlite3.connect(name, isolation_level=None)
            try:
                # Nobody reads it after a crash: no journal, no waiting for the disk.
                for setting in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE"):
                    database.execute(f"PRAGMA {setting}")
                database.execute(
                    "CREATE TABLE items (key TEXT, path TEXT, number INT, unit TEXT, record BLOB)"
                )
                os.unlink(name)
                database.execute("CREATE TABLE asked (key TEXT)")
                yield cls(database)
            finally:
                database.close()
                Path(name).unlink(missing_ok=True)
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(f"an index in {folder} can't be written: {error}") from None

    def add(self, key: str, place: Place, record: Any) -> None:
        """Raises LeftOut where the record, or its key, can't be written as UTF-8."""
        try:
            content = orjson.dumps(record)
            key.encode()
        except (TypeError, UnicodeEncodeError) as error:
            raise LeftOut("can't be written as JSON", str(error)) from None
        self._waiting.append((key, str(place.path), place.number, place.unit, content))
        if len(self._waiting) >= _AT_ONCE:
            self._write()

    def close(self) -> None:
        """To be called once, before anything is looked up."""
        self._write()
        self._database.execute("CREATE INDEX keys ON items (key)")

    def get(self, key: str) -> list[tuple[Place, Any]]:
        """Those of a key, in their order."""
        self._asked.append((key,))
        if len(self._asked) >= _AT_ONCE:
            self._write_asked()
        wanted = "SELECT path, number, unit, record FROM items WHERE key = ? ORDER BY rowid"
        return list(_read(self._database.execute(wanted, (key,))))

    def groups(self) -> Iterator[list[tuple[Place, Any]]]:
        """Those of each key, in the order of the keys."""
        every = "SELECT path, number, unit, record, key FROM items ORDER BY key, rowid"
        for _, rows in groupby(self._database.execute(every), key=itemgetter(4)):
            yield list(_read(rows))

    def never_asked(self) -> Iterator[Place]:
        """Where the records are whose key nobody asked for."""
        self._write_asked()
        self._database.execute("CREATE INDEX asked_keys ON asked (key)")
        others = "SELECT path, number, unit FROM items WHERE key NOT IN (SELECT key FROM asked)"
        for path, number, unit in self._database.execute(others):
            yield Place(Path(path), number, unit)

    def _write_asked(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO asked VALUES (?)", self._asked)
        self._database.execute("COMMIT")
        self._asked.clear()

    def _write(self) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", self._waiting)
        self._database.execute("COMMIT")
        self._waiting.clear()


def _read(rows: Iterable[Any]) -> Iterator[tuple[Place, Any]]:
    for path, number, unit, record, *_ in rows:
        yield Place(Path(path), number, unit), orjson.loads(record)
