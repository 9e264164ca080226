"""Whether a store's file can be opened at all: it is ours, and it fits its log."""

import logging
import os
import sqlite3
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from predictors.errors import ConfigurationError
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.lock import NOWHERE, Left, content, log_of, stamp_of

logger = logging.getLogger("kserve.hem")

APPLICATION: Final = 0x48454D46  # "HEMF", in the header of each file of ours
BUSY_SECONDS: Final = 2.0
_EFFECTIVE: Final = os.access in os.supports_effective_ids
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def require_whole(path: Path, left: Left) -> None:
    """Of a file that is not as it was left, as a copy that was put there, or as after a crash in
    the moment when the log is written into it. A log that does not fit it is put aside. Raises
    Unusable where the file is damaged; then all stays as it is."""
    found, log = stamp_of(path), log_of(path)
    if found is None or left.file in (NOWHERE, content(found)) or not (why := _damage(path)):
        return
    aside = log.with_name(f"{log.name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    if (logged := stamp_of(log)) is not None and logged[-1]:
        log.rename(aside)
        if not _damage(path):
            path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
            logger.error(
                "feedback: the log %s is not of the store %s that lies there, as a copy that was "
                "put back: it is left out, and lies in %s",
                log,
                path,
                aside,
            )
            return
        aside.rename(log)
    raise Unusable(
        f"the store {path} is damaged ({why}): put a copy back in its place, without its -wal and "
        "-shm, or give another path"
    )


def require_writable(path: Path) -> None:
    """SQLite itself opens what it can't write, for reading alone. Raises Unusable."""
    for each in (path.parent, path):
        if each.exists() and not os.access(each, os.W_OK, effective_ids=_EFFECTIVE):
            raise Unusable(
                f"the store {path}: {each} may not be written by this user, or is read-only"
            )


def _damage(path: Path) -> str:
    """What is wrong with a file together with its log; nothing of both is changed."""
    try:
        connection = sqlite3.connect(uri_of(path, "ro"), uri=True, timeout=BUSY_SECONDS)
        try:
            refuse_others(connection, path)
            (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise
        told = str(error)
    return "" if told == "ok" else told.splitlines()[0]


def refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION:
        raise ConfigurationError(f"{path} is another program's database: give another path")


def uri_of(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"
