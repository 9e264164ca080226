"""Routers that ship with the project, by the name `embedded:<directory>`; see README.md here.

A folder each, as `hem train` wrote it; `workshop/` made them, and stays out of the wheel and the
images. Train a folder anew rather than edit it: its files know each other's sha256.
"""

from pathlib import Path

from predictors.errors import ConfigurationError, known

PREFIX = "embedded:"
_HERE = Path(__file__).parent


def directory(name: str) -> Path:
    """The directory of `embedded:<name>`. Raises ConfigurationError where there is none."""
    names = [PREFIX + path.parent.name for path in _HERE.glob("*/config.json")]
    if name not in names:
        raise ConfigurationError(f"unknown router {name!r}; {known(name, names)}")
    return _HERE / name.removeprefix(PREFIX)


def is_shipped(router: str) -> bool:
    """Whether a router's name or path means one of the folders here."""
    path = Path(router.removeprefix("file://"))
    return router.startswith(PREFIX) or path.resolve().parent == _HERE.resolve()
