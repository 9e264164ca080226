"""Where a store is, by what HEM_FEEDBACK_STORE says."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url

INSTALL: Final = "pip install 'kserve-hem[feedback]'"
POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+psycopg")
_NEEDS: Final = ("sqlalchemy", "alembic")


@dataclass(frozen=True, slots=True)
class Place:
    """`path` is of SQLite's file, None where `url` is PostgreSQL's. `shown` has no password."""

    path: Path | None
    url: str
    shown: str

    @property
    def is_file(self) -> bool:
        return self.path is not None


def read_place(text: str, named: str = "HEM_FEEDBACK_STORE") -> Place:
    """Raises ConfigurationError, which begins with `named`."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        path = Path(rest.removeprefix("/") if separator else text).absolute()
        if path.is_dir():
            raise ConfigurationError(f"{named} {text!r} is a folder: name a file in it")
        return Place(path, f"sqlite:///{path}", str(path))
    if scheme not in POSTGRESQL:
        raise ConfigurationError(
            f"{named} {shown_url(text)!r} must be a file, for SQLite, or postgresql://..."
        )
    try:
        parts = urlsplit(text)
        named_database = parts.path.strip("/") and (parts.port or True)
    except ValueError as error:
        raise ConfigurationError(f"{named}: {error}") from None
    if not named_database:
        raise ConfigurationError(
            f"{named} {shown_url(text)!r} names no database: postgresql://USER@HOST/DATABASE"
        )
    return Place(None, f"postgresql+psycopg://{rest}", shown_url(text))


def require_installed(place: Place) -> None:
    """What a store needs, without importing it. Raises ConfigurationError."""
    needs = _NEEDS if place.is_file else (*_NEEDS, "psycopg")
    for package in needs:
        if importlib.util.find_spec(package) is None:
            raise ConfigurationError(
                f"a store of feedback needs the package {package!r}, which is not installed; "
                f"try: {INSTALL}"
            )
    if place.path is not None and not place.path.parent.is_dir():
        raise ConfigurationError(
            f"{place.path.parent} is not there: make the folder of {place.path.name}"
        )
