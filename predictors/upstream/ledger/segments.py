"""The files of a ledger at PATH: sealed segments PATH.000001, PATH.000002 and so on, then PATH."""

import re
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError

_NUMBER: Final = re.compile(r"\.(\d{6,12})")


def sealed(path: Path) -> dict[int, Path]:
    """By their numbers, in order. Raises OSError."""
    found: dict[int, Path] = {}
    for each in path.parent.iterdir():
        if each.name.startswith(path.name):
            suffix = _NUMBER.fullmatch(each.name.removeprefix(path.name))
            if suffix:
                found[int(suffix[1])] = each
    return dict(sorted(found.items()))


def sealed_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number:06}")


def files(path: Path) -> list[Path]:
    """All that there are, in the order of the chain. Raises ConfigurationError where there is no
    ledger."""
    try:
        found = [*sealed(path).values(), *([path] if path.exists() else [])]
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from None
    if not found:
        raise ConfigurationError(f"{path} is not there: no ledger was written to it")
    return found
