"""version.json: where a version comes from."""

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from predictors.errors import ConfigurationError, first_fault
from transformers_hem.calibration.config import Section
from transformers_hem.routers.directory import read_file, sha256
from transformers_hem.versions.pointer import VERSION_FILE

FILE: Final = VERSION_FILE


class Origin(Section):
    """`training`: rows by where they come from, algorithm, seed; `compared`: with which version,
    on what, and what came out. Both are empty for a router that somebody added."""

    how: Literal["added", "retrained"]
    training: dict[str, Any] = Field(default_factory=dict)
    compared: dict[str, Any] = Field(default_factory=dict)


class Version(Section):
    """`made`: ISO 8601, UTC. `promise` is the calibration's sentence, None without one. `files` are
    the sha256 of all files beside this one, by their path in the directory."""

    format: Literal[1] = 1
    number: int
    made: str
    algorithm: str
    promise: str | None = None
    origin: Origin
    files: dict[str, str]


def hashes(directory: Path) -> dict[str, str]:
    """Raises ConfigurationError."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    names = {path: path.relative_to(directory).as_posix() for path in files}
    return {name: sha256(read_file(path)) for path, name in names.items() if name != FILE}


def read_version(directory: Path) -> Version:
    """Raises ConfigurationError."""
    path = directory / FILE
    try:
        return Version.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        where, message, _ = first_fault(error)
        raise ConfigurationError(f"{path} is damaged: {where or 'it'}: {message}") from error


def require_whole(directory: Path) -> Version:
    """Raises ConfigurationError where a file is not as it was when the version was made."""
    version = read_version(directory)
    found = hashes(directory)
    for name in sorted(version.files.keys() | found.keys()):
        if version.files.get(name) != found.get(name):
            what = "is missing" if name not in found else "has changed"
            raise ConfigurationError(
                f"version {version.number} is damaged: {directory / name} {what}"
            )
    return version
