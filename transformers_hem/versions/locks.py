"""Locks of a folder of versions, held by flock: the kernel frees those of a process that died.

A number of a process says nothing to another container, so nothing is concluded from what is
written in the file: it is for people. NFS 4 has flock; where a volume has none, that is an error.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from predictors.errors import ConfigurationError

RETRAIN: Final = ".retrain.lock"
SWITCH: Final = ".switch.lock"
SWITCH_SECONDS: Final = 60.0  # a switch copies a router and renames it
_STEP: Final = 0.05


class LockedError(ConfigurationError):
    """Somebody else is at it: the same command may do in a while."""

    exit_code = 3


@contextmanager
def held(folder: Path, name: str, doing: str, seconds: float = 0.0) -> Iterator[None]:
    """Waits for the lock so long. Raises LockedError, which says who has it and what for, and
    ConfigurationError where there can be no lock."""
    path = folder / name
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be opened: {error.strerror}") from error
    try:
        _take(handle, path, time.monotonic() + seconds)
        told = {"doing": doing, "host": socket.gethostname(), "process": os.getpid()}
        told["since"] = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # of a full disk: it is for people, and the lock is the kernel's
            os.ftruncate(handle, 0)
            os.pwrite(handle, orjson.dumps(told), 0)
        yield
    finally:
        os.close(handle)  # and frees it


def _take(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedError(f"{path.parent} is busy: {_holder(handle)}") from None
        except OSError as error:
            raise ConfigurationError(
                f"{path} can't be locked: {error.strerror}; the volume needs locks (flock)"
            ) from error
        time.sleep(_STEP)


def _holder(handle: int) -> str:
    try:
        told = orjson.loads(os.pread(handle, 4096, 0))
        return "{doing}, by process {process} on {host} since {since}".format_map(told)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "another process has its lock"
