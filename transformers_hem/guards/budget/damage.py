"""What becomes of a state file that can't be read."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError

APPLICATION: Final = 0x48454D42  # "HEMB", in the header of each file of ours
_HEADER: Final = 100
_APPLICATION_AT: Final = slice(68, 72)
_BESIDE: Final = ("-wal", "-shm", "-journal")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process makes the file, or puts it aside. Raises OSError."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def put_aside(path: Path) -> Path:
    """Renames a damaged file, and what lies beside it. Raises ConfigurationError where it may be
    somebody else's, OSError."""
    if not _is_ours(path):
        raise ConfigurationError(
            f"{path} is no state file of a budget: give another path, or move it away"
        )
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for beside, new in zip(log_of(path), log_of(aside), strict=True):
        if beside.exists():
            beside.rename(new)
    path.rename(aside)
    return aside


def log_of(path: Path) -> list[Path]:
    """What SQLite writes beside a file."""
    return [path.with_name(path.name + suffix) for suffix in _BESIDE]


def _is_ours(path: Path) -> bool:
    """By its header; an empty one, or one of zeros, is what a power cut leaves."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    number = int.from_bytes(header[_APPLICATION_AT], "big")
    return not header.strip(b"\0") or number == APPLICATION


def place_of(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; None where there is none. Raises OSError."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_dev
