"""A store in a file: SQLite with a log (WAL), written by one process.

What is committed survives the process that is killed; with sync "full" also a power cut. Beside the
file lies NAME.lock: the process that writes holds it, and notes there how many records it has
committed, and as what it left the file. So a copy of an older day that was put in the file's place
is noticed, at the start as well as while the server runs.

What is newest is in the log, NAME-wal, alone. A log that is removed while the server runs is
written into the file, as this process still has it. One that was left beside another copy of the
file is put aside: SQLite would write it into that copy, and so destroy it.
"""

import ctypes
import logging
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from transformers_hem.feedback.database import Database, Sync
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.lock import Left, Lock, content, log_of, stamp_of, which
from transformers_hem.feedback.migrations import is_current, migrate
from transformers_hem.feedback.tables import FACTS
from transformers_hem.feedback.whole import (
    APPLICATION,
    BUSY_SECONDS,
    refuse_others,
    require_whole,
    require_writable,
    uri_of,
)

logger = logging.getLogger("kserve.hem")

# Of the log, 8 MB, before it goes into the file, when the disk is flushed and all callers wait: as
# long as for SQLite's 1000, half as often. For 8000 they wait three times as long.
LOG_PAGES: Final = 2000
STORE: Final = "store"  # of facts: what tells this store from others
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
# How many rows there ever were: SQLite counts them for AUTOINCREMENT, and deletes take none off.
_COUNT: Final = "SELECT CAST(TOTAL(seq) AS INTEGER) FROM sqlite_sequence"


class SQLite(Database):
    def __init__(self, path: Path, sync: Sync = "normal", *, create: bool = True) -> None:
        """`create`: where it is not there. Raises Unusable, ConfigurationError, OSError,
        SQLAlchemyError."""
        self._path = path
        require_writable(path)
        self._lock = Lock(path)
        try:
            new = stamp_of(path) is None
            if new and not create:
                raise self._another()
            require_whole(path, self._lock.read())
            self._engine = engine_of(path, "rwc" if create else "rw", sync)
            self._connection = self._engine.connect()
            try:
                self._prepare(new)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            self._lock.close()
            raise
        self._seen = stamp_of(path)
        self._log = which(stamp_of(log_of(path)))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if stamp_of(self._path) != self._seen:
            raise self._another()
        if which(stamp_of(log_of(self._path))) != self._log:
            raise Unusable(
                f"the log {log_of(self._path)} was removed or replaced: what it had is written "
                "into the store now. Nothing was kept of this; send it again"
            )
        with self._connection.begin():
            yield self._connection
            count = self._count()
        self._left(count)

    def _left(self, count: int) -> None:
        """Noted behind a commit: what was committed is kept, whatever fails here."""
        with suppress(OSError):  # of a full disk: it is behind, which says nothing wrong
            self._seen = stamp_of(self._path)
            self._lock.note(Left(self._store, count, content(self._seen)))

    def _count(self) -> int:
        return int(self._connection.exec_driver_sql(_COUNT).scalar_one())

    def is_broken(self, error: DBAPIError) -> bool:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code not in (*_BUSY, sqlite3.SQLITE_CONSTRAINT)

    def freed(self) -> None:
        """SQLite writes zeros over them (secure_delete); the log has them until it begins anew."""
        driver: Any = self._connection.connection.dbapi_connection
        with suppress(sqlite3.Error):  # who reads just now keeps the log: the next one does it
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._seen = stamp_of(self._path)

    def close(self) -> None:
        if self._connection.closed:
            return
        if stamp_of(self._path) == self._seen:
            self._connection.close()  # and writes the log into the file
            with suppress(OSError):
                left = replace(self._lock.read(), file=content(stamp_of(self._path)))
                self._lock.note(left)
        else:
            _abandon(self._connection)
            self._connection.detach()
            self._connection.close()
        self._lock.close()

    def _prepare(self, new: bool) -> None:
        with self._connection.begin():
            if not is_current(self._connection):
                self._connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")
                migrate(self._connection)
            found = self._connection.execute(select(FACTS.c.name, FACTS.c.value))
            facts = {name: value for name, value in found}
            if STORE not in facts:
                facts[STORE] = uuid.uuid4().hex
                self._connection.execute(insert(FACTS), [{"name": STORE, "value": facts[STORE]}])
            count = self._count()
        self._store = facts[STORE]
        self._compare(new, count)

    def _compare(self, new: bool, count: int) -> None:
        """With what was committed before, by whoever wrote it."""
        left = self._lock.read()
        store, before = left.store, left.count
        if store and (store != self._store or before > count):
            now = "was not there, and begins anew" if new else "is an older copy, or another one"
            logger.error(
                "feedback: the store %s %s: it has %d of the %d records that were kept. "
                "Feedback that is missing may be sent again, with its keys",
                self._path,
                now,
                count if store == self._store else 0,
                before,
            )
        self._lock.note(Left(self._store, count, content(stamp_of(self._path))))

    def _another(self) -> Unusable:
        if stamp_of(self._path) is None:
            return Unusable(
                f"the store {self._path} is gone: put it back, or start the server anew to begin "
                "another one"
            )
        return Unusable(
            f"the store {self._path} is another file than before, as a copy that was put back: "
            "nothing was kept of this; send it again"
        )


def engine_of(path: Path, mode: str, sync: Sync = "normal") -> Engine:
    """`mode` as SQLite's URIs have it: ro, rw, rwc."""
    where = uri_of(path, mode)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(where, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says so
        refuse_others(connection, path)
        if mode == "ro":
            return
        (log,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if log != "wal":
            raise sqlite3.OperationalError("its file system has no shared memory, as WAL needs")
        connection.execute(f"PRAGMA synchronous = {sync}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if mode == "ro" else "BEGIN IMMEDIATE")

    return engine


def _abandon(connection: Connection) -> None:
    """Of a file that is at its path no more. It is never closed, not even when the process ends:
    SQLite would write the log at that path into what is there now."""
    driver = connection.connection.dbapi_connection
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(driver))
