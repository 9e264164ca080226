"""Where a store is, by what HEM_FEEDBACK_STORE says."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from predictors.errors import ConfigurationError
from predictors.upstream.redaction import shown_url

INSTALL: Final = "pip install 'kserve-hem[feedback]'"
POSTGRESQL: Final = ("postgresql", "postgres", "postgresql+psycopg")
URL: Final = "postgresql://USER:PASSWORD@HOST/DATABASE"
_NEEDS: Final = ("sqlalchemy", "alembic")
# What is no file's name: a URL without its slashes, or words as other clients of PostgreSQL take
# them. As a file it would be made, and shown, with the password in its name.
_MEANT: Final = re.compile(r"postgres\w*(\+\w+)?:(?!//)|(?=.*\b(dbname|password)\s*=)\w+\s*=", re.I)
_ESCAPED: Final = (
    "of user and password write / as %2F, : as %3A, @ as %40, # as %23, ? as %3F, [ as %5B"
)


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
    text = text.strip()  # a Secret that was made of a file has the end of its line, too
    if not text:
        raise ConfigurationError(f"{named} is empty: name a file, for SQLite, or postgresql://...")
    if _MEANT.match(text):
        raise ConfigurationError(f"{named} must be {URL}, or a file, for SQLite")
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        path = Path(rest.removeprefix("/") if separator else text).absolute()
        if _is_folder(path, named):
            raise ConfigurationError(f"{named} {text!r} is a folder: name a file in it")
        return Place(path, f"sqlite:///{path}", str(path))
    if scheme not in POSTGRESQL:
        raise ConfigurationError(
            f"{named} {shown_url(text)!r} must be a file, for SQLite, or postgresql://..."
        )
    try:
        parts = urlsplit(text)
        if parts.netloc.count("@") > 1:  # some would take a part of the password for the host
            raise ValueError
        named_database = parts.path.strip("/") and (parts.port or True)
    except ValueError:  # whose words may have a part of the password
        raise ConfigurationError(
            f"{named} {shown_url(text)!r} is no URL: its port must be a number, and {_ESCAPED}"
        ) from None
    if not named_database:
        raise ConfigurationError(
            f"{named} {shown_url(text)!r} names no database, as {URL}; {_ESCAPED}"
        )
    return Place(None, f"postgresql+psycopg://{rest}", shown_url(text))


def _is_folder(path: Path, named: str) -> bool:
    """Raises ConfigurationError where nobody may look there."""
    try:
        return path.is_dir()
    except OSError as error:
        raise ConfigurationError(f"{named} {path} can't be read: {error.strerror}") from None


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
