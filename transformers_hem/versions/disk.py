"""Files and folders that are there whole or not at all, whenever the process or the machine stops.

What is new is written under a hidden name in the same folder, forced to the disk, and renamed.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError

logger = logging.getLogger("kserve.hem")

ASIDE: Final = ".new-"
READABLE: Final = 0o444  # by servers that run as another user; and by nobody to be written
PASSABLE: Final = 0o755


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """An OSError becomes a ConfigurationError about `path`."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {_why(error)}") from error


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """An OSError becomes a ConfigurationError about `path`."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {_why(error)}") from error


def _why(error: OSError) -> str:
    """Of many files that shutil has tried to copy, the first."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return error.strerror or str(error)


def write_whole(path: Path, content: bytes) -> None:
    """In place of what is there. Raises ConfigurationError, and then leaves that. Once it is in its
    place it is told as written, also where the disk can't be made to keep the name."""
    with writable(path):
        handle, name = tempfile.mkstemp(prefix=ASIDE, dir=path.parent)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    try:
        fsync(path.parent)
    except OSError as error:
        logger.warning("%s is new, and may be the old one after a power cut: %s", path, _why(error))


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder aside that becomes `out`, which must not exist, when the block ends well; its files
    can't be written any more. Raises ConfigurationError."""
    with writable(out):
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=out.parent))
    try:
        yield aside
        with writable(out):
            _settle(aside)
            os.rename(aside, out)
            fsync(out.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Deletes what processes that died have left, as far as that can be; only who holds the
    folder's lock may."""
    for left in folder.glob(f"{ASIDE}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def delete_folder(folder: Path) -> None:
    """First under a hidden name, so that no half of it is found. Raises ConfigurationError."""
    aside = folder.with_name(f"{ASIDE}deleted-{folder.name}")
    with writable(folder):
        os.rename(folder, aside)
        shutil.rmtree(aside)


def fsync(path: Path) -> None:
    """Of a folder: its names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _settle(folder: Path) -> None:
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(here, name)
            path.chmod(READABLE)
            fsync(path)
        os.chmod(here, PASSABLE)
        fsync(Path(here))
