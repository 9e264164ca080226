"""Routers that ship with the project, by the name `embedded:<directory>`."""

from pathlib import Path

from predictors.errors import ConfigurationError

PREFIX = "embedded:"
_HERE = Path(__file__).parent


def directory(name: str) -> Path:
    """The directory of `embedded:<name>`. Raises ConfigurationError where there is none."""
    known = sorted(path.parent.name for path in _HERE.glob("*/config.json"))
    if name.removeprefix(PREFIX) not in known:
        raise ConfigurationError(
            f"unknown router {name!r}; known: {', '.join(PREFIX + each for each in known)}"
        )
    return _HERE / name.removeprefix(PREFIX)
