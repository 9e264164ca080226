"""Who writes a store in a file, and as what it left the file and its log."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from transformers_hem.feedback.faults import Unusable

_MODE: Final = 0o640
NOWHERE: Final = (0, 0)
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Left:
    """What was committed last: the store, and how many records it had. `file`: when the file was
    written last, and how large it was. Empty where nobody knows."""

    store: str = ""
    count: int = 0
    file: tuple[int, int] = NOWHERE


class Lock:
    """Held as long as the process lives, whatever becomes of the file. Its content is a `Left`."""

    def __init__(self, path: Path) -> None:
        """Raises Unusable where another process has it, OSError."""
        where = path.with_name(f"{path.name}.lock")
        self._file = os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Unusable(
                f"the store {path} is written by another process, and one replica alone may do "
                "that: for several set HEM_FEEDBACK_STORE to PostgreSQL's URL"
            ) from None

    def read(self) -> Left:
        words = os.pread(self._file, 200, 0).decode("ascii", "replace").split()
        store, *numbers = words or [""]
        count, written, size, *_ = [*(int(n) if n.isdigit() else 0 for n in numbers), 0, 0, 0]
        return Left(store, count, (written, size))

    def note(self, left: Left) -> None:
        written, size = left.file
        line = f"{left.store} {left.count:020d} {written:020d} {size:020d}\n"
        os.pwrite(self._file, line.encode(), 0)

    def close(self) -> None:
        os.close(self._file)


def stamp_of(path: Path) -> Stamp | None:
    """Which file is at a path, and as who left it; None where there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_dev, found.st_mtime_ns, found.st_size


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def which(stamp: Stamp | None) -> tuple[int, int] | None:
    """The file itself, whoever writes it."""
    return stamp and stamp[:2]


def content(stamp: Stamp | None) -> tuple[int, int]:
    return NOWHERE if stamp is None else stamp[2:]
