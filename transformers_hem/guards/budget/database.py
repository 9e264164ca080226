"""The file of a budget: SQLite, which is whole after kill -9 and knows when it is damaged.

Its log (WAL) is not forced to the disk by who writes it, which would hold the event loop: a thread
does that (`tidy`). So a power cut may take the last seconds, and never the whole.
"""

import ctypes
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from predictors.errors import ConfigurationError
from transformers_hem.guards.budget.clock import Anchor, Clock
from transformers_hem.guards.budget.damage import (
    APPLICATION,
    locked,
    log_of,
    place_of,
    put_aside,
)

VERSION: Final = 1  # of the tables
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_OPENING_SECONDS: Final = 2.0
_TABLES: Final = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
CREATE TABLE spent (
  client TEXT, bucket INTEGER, requests INTEGER, input INTEGER, output INTEGER, cost INTEGER,
  PRIMARY KEY (client, bucket)
) WITHOUT ROWID;
CREATE TABLE anchor (boot TEXT, since REAL, time REAL, closed_until REAL);
"""


def abandon(database: sqlite3.Connection) -> None:
    """Of a file that is at its path no more. It is never closed, not even when the process ends:
    SQLite would remove the log at that path, which by now is another file's."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(database))


def is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in _DAMAGED


def is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in _BUSY


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def make(path: Path, anchor: Anchor, closed_until: float = 0.0) -> None:
    """A new file, whole or not at all. `closed_until`: nothing may be spent before. Raises OSError,
    sqlite3.Error."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    database = sqlite3.connect(new, isolation_level=None)
    try:
        database.executescript(_TABLES)
        database.execute("INSERT INTO anchor VALUES (?, ?, ?, ?)", (*anchor, closed_until))
    finally:
        database.close()
    # The log of a file that was removed would be taken for this one's.
    for beside in log_of(path):
        beside.unlink(missing_ok=True)
    new.rename(path)


class Opened(NamedTuple):
    """A file, the anchor of this boot, and until when nothing may be spent."""

    database: sqlite3.Connection
    anchor: Anchor
    closed_until: float


def opened(path: Path, clock: Clock) -> Opened:
    """A file that is there; whoever finds it busy later is told at once. Raises ConfigurationError
    where it is another program's or of another version, sqlite3.Error."""
    where = f"file:{quote(str(path))}?mode=rw"
    database = sqlite3.connect(
        where, uri=True, timeout=_OPENING_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _check(database, path)
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError("its file system can't be shared by processes")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        anchor, closed_until = _anchor(database, clock)
        database.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        database.close()
        raise
    return Opened(database, anchor, closed_until)


def _check(database: sqlite3.Connection, path: Path) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (empty,) = database.execute("SELECT COUNT(*) = 0 FROM sqlite_master").fetchone()
    if empty:
        raise _damage("it is empty")
    if application != APPLICATION:
        raise ConfigurationError(f"{path} is another program's database: give another path")
    if version != VERSION:
        raise ConfigurationError(
            f"{path} has tables of version {version}, and this version of HEM knows {VERSION}: "
            "give another path, or move it away, and the budget begins anew"
        )
    (told,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if told != "ok":
        raise _damage(str(told))


def _damage(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _anchor(database: sqlite3.Connection, clock: Clock) -> tuple[Anchor, float]:
    database.execute("BEGIN IMMEDIATE")
    try:
        boot, since, then, closed = database.execute("SELECT * FROM anchor").fetchone()
        (latest,) = database.execute("SELECT COALESCE(MAX(bucket), 0) FROM spent").fetchone()
        before = Anchor(boot, since, then)
        found = clock.anchored(before, float(latest))
        if found != before:
            database.execute("UPDATE anchor SET boot = ?, since = ?, time = ?", found)
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    return found, closed


def tidy(path: Path, before: float) -> None:
    """Without what was spent `before`; what the log has goes into the file, and to the disk. Raises
    sqlite3.Error."""
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("DELETE FROM spent WHERE bucket < ?", (int(before),))
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        database.close()


def ensure(path: Path, clock: Clock) -> None:
    """That there is a file. Raises OSError, sqlite3.Error."""
    if place_of(path) is None:
        with locked(path):
            if place_of(path) is None:
                make(path, clock.anchored(None, 0.0))


def replace_damaged(path: Path, found: tuple[int, int] | None, clock: Clock, seconds: float) -> str:
    """Puts the damaged file `found` aside, unless somebody has done so; what it knew is over
    `seconds` later, and nothing may be spent until then. Where it is now; empty where nothing was
    done. Raises ConfigurationError, OSError, sqlite3.Error."""
    with locked(path):
        if found is None or place_of(path) != found:
            return ""
        changed = path.stat().st_mtime
        aside = put_aside(path)
        anchor = clock.anchored(None, changed)
        make(path, anchor, anchor.time + seconds)
    return str(aside)
