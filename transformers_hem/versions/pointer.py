"""current.json: which version is in force, since when and why."""

from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from predictors.errors import ConfigurationError, first_fault
from transformers_hem.calibration.config import Section

FILE: Final = "current.json"
VERSION_FILE: Final = "version.json"  # of each version's directory
MOST_SWITCHES: Final = 200  # that are remembered

How = Literal["added", "promoted", "rolled back"]


class Switch(Section):
    """`at`: ISO 8601, UTC. `why` is for people."""

    at: str
    to: int
    how: How
    why: str = ""


class Pointer(Section):
    """`switches`, the last of which led to `current`, oldest first. `highest` number that was ever
    given: none is given twice."""

    format: Literal[1] = 1
    current: int
    highest: int
    switches: tuple[Switch, ...] = ()

    def before(self, exists: frozenset[int]) -> int | None:
        """The version to roll back to: the one that was in force before `current`, of those that
        exist. What was rolled back from is not taken up again."""
        stack: list[int] = []
        for switch in self.switches:
            if switch.to in stack and switch.how == "rolled back":
                del stack[stack.index(switch.to) :]
            stack = [number for number in stack if number != switch.to] + [switch.to]
        return next((number for number in reversed(stack[:-1]) if number in exists), None)


def is_versions(folder: Path) -> bool:
    """Raises ConfigurationError where it can't be looked into."""
    try:
        return (folder / FILE).is_file()
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be read: {error.strerror}") from error


def read_pointer(folder: Path) -> Pointer:
    """Raises ConfigurationError."""
    path = folder / FILE
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigurationError(
            f"{folder} has no version of a router yet; `hem retrain --router {folder} "
            "--add ROUTER` puts the first one there"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        where, message, _ = first_fault(error)
        raise ConfigurationError(
            f"{path} is damaged: {where or 'it'}: {message}; to write it anew name a version: "
            f"hem retrain --router {folder} --rollback VERSION"
        ) from error


def in_force(folder: Path) -> tuple[int, Path]:
    """Number and directory of the version that `folder` points to. Raises ConfigurationError."""
    number = read_pointer(folder).current
    directory = folder / str(number)
    if not directory.is_dir():
        raise ConfigurationError(
            f"{folder} points to version {number}, which is not there; point to another: "
            f"hem retrain --router {folder} --rollback VERSION"
        )
    return number, directory
