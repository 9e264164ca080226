"""A trained router's directory: where it is, how it is read, and how it is written whole."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import orjson
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from predictors.errors import ConfigurationError, first_fault
from transformers_hem import embedded
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.versions.pointer import FILE as POINTER, VERSION_FILE, in_force, is_versions

CONFIG_FILE = "config.json"

Config = TypeVar("Config", bound=CalibratedConfig)

_ASIDE = ".router-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def locate(name: str) -> Path:
    """The directory that `HEM_ROUTER` or a `router` parameter means; of a folder of versions the
    version that is in force now. Raises ConfigurationError."""
    place = place_of(name)
    return in_force(place)[1] if is_versions(place) else place


def place_of(name: str) -> Path:
    """The directory or the folder of versions that `name` says. Raises ConfigurationError."""
    if name.startswith(embedded.PREFIX):
        return embedded.directory(name)
    path = name.removeprefix("file://")
    if "://" in path:
        raise ConfigurationError(
            f"router {name!r} must be mounted first: put it in the InferenceService's storageUri "
            "and name the mount, /mnt/models"
        )
    return Path(path)


class ServedVersion(NamedTuple):
    """Of a folder of versions, the one that `pointer`, a file, says is in force."""

    number: int
    directory: Path
    algorithm: str
    pointer: Path


def version_of(name: str) -> ServedVersion | None:
    """None where `name` is no folder of versions. Raises ConfigurationError."""
    if not name or "://" in name.removeprefix("file://"):
        return None
    place = place_of(name)
    if not is_versions(place):
        return None
    number, directory = in_force(place)
    return ServedVersion(number, directory, algorithm_of(directory), place / POINTER)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """A directory aside that becomes `out` when the block ends well, in place of an older router.

    Raises ConfigurationError where `out` is something else or can't be written, the disk being full
    included; whatever is raised, `out` stays as it was and nothing half-written is left.
    """
    with _unwritable(out):
        _require_free(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=out.parent))
    try:
        with _unwritable(out):
            (aside / "new").mkdir()
        with _unwritable(out, *_FULL):
            yield aside / "new"
        with _unwritable(out):
            _replace(out, aside)
    finally:
        shutil.rmtree(aside)


def require_place(out: Path) -> None:
    """Called before the work is done: raises ConfigurationError where `new_directory` would. Leaves
    nothing behind."""
    with _unwritable(out):
        _require_free(out)
        place = out.parent
        while not _is_there(place):
            place = place.parent
        os.rmdir(tempfile.mkdtemp(prefix=_ASIDE, dir=place))


@contextmanager
def _unwritable(out: Path, *numbers: int) -> Iterator[None]:
    """An OSError, or only one with these numbers, becomes a ConfigurationError about `out`."""
    try:
        yield
    except OSError as error:
        if numbers and error.errno not in numbers:
            raise
        raise ConfigurationError(f"{out} can't be written: {error.strerror}") from error


def _require_free(out: Path) -> None:
    """What is there already is an older router, or an empty directory, and can be moved away.

    A language model's directory has a config.json too, which names no algorithm.
    """
    if not _is_there(out):
        return
    config = out / CONFIG_FILE
    if config.is_file():
        is_router = b'"algorithm"' in config.read_bytes()
    else:
        is_router = out.is_dir() and not any(out.iterdir())
    if not is_router:
        raise ConfigurationError(f"{out} exists and is not a router directory; choose another")
    if (out / VERSION_FILE).exists():
        raise ConfigurationError(f"{out} is a version of a router, which never changes")
    if out.samefile(os.curdir) or os.path.ismount(out):
        kind = "a mount" if os.path.ismount(out) else "the working directory"
        raise ConfigurationError(f"{out} is {kind}, which can't be replaced; choose another")


def _is_there(path: Path) -> bool:
    """Raises OSError where nothing can be, as inside a file or under too long a name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _replace(out: Path, aside: Path) -> None:
    if not out.exists():
        os.rename(aside / "new", out)
        return
    os.rename(out, aside / "old")
    try:
        os.rename(aside / "new", out)
    except OSError:
        os.rename(aside / "old", out)
        raise


def write_config(directory: Path, config: CalibratedConfig) -> None:
    (directory / CONFIG_FILE).write_text(config.model_dump_json(indent=2) + "\n")


def algorithm_of(directory: Path) -> str:
    """The algorithm that config.json names. Raises ConfigurationError where it names none."""
    path = directory / CONFIG_FILE
    try:
        return str(orjson.loads(read_file(path))["algorithm"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} names no algorithm: {error!r}") from error


def read_config(directory: Path, kind: type[Config], algorithm: str) -> Config:
    """Raises ConfigurationError naming the file, the field and what is wrong with it, or the other
    algorithm that the directory belongs to."""
    owner = algorithm_of(directory)
    if owner != algorithm:
        raise ConfigurationError(f"{directory} is a {owner}'s, not {algorithm}'s")
    path = directory / CONFIG_FILE
    try:
        return kind.model_validate_json(read_file(path))
    except ValidationError as error:
        where, message, _ = first_fault(error)
        raise ConfigurationError(f"{path}: {where or 'it'}: {message}") from error


def _way_out(path: Path) -> str:
    """Of a router's file that can't be read."""
    if path.name == CONFIG_FILE and path.parent.is_dir():
        return (
            "`hem train` writes one; into a folder of versions `hem retrain --router "
            f"{path.parent} --add ROUTER` puts the first"
        )
    return "`hem train` writes one"


def read_file(path: Path, fingerprint: str | None = None) -> bytes:
    """A file of a router directory. Raises ConfigurationError where it can't be read, or is not
    the one with this sha256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"no router in {path.parent}: {path.name}: {error.strerror}; {_way_out(path)}"
        ) from error
    if fingerprint not in (None, sha256(content)):
        raise ConfigurationError(
            f"{path} is damaged, or belongs to another {CONFIG_FILE}: its sha256 differs"
        )
    return content


@contextmanager
def tensors_of(content: bytes, path: Path, what: str) -> Iterator[dict[str, np.ndarray]]:
    """The tensors of a safetensors file, to be checked inside the block: a missing key, or a
    ValueError that says what is wrong, becomes a ConfigurationError about `path`."""
    try:
        yield load(content)
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ConfigurationError(f"{path} is not a router's {what}: {error}") from error


def require_finite(*arrays: Any) -> None:
    """Raises ValueError."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("it has values that are not finite")
