"""Opens a store: whoever is first makes its tables, and others wait for that."""

from sqlalchemy import Engine

from transformers_hem.feedback import postgresql, sqlite
from transformers_hem.feedback.database import Database, Sync
from transformers_hem.feedback.place import Place


def open_database(place: Place, sync: Sync = "normal", *, create: bool = True) -> Database:
    """`create`: a file, or tables, where there are none. Raises Unusable, ConfigurationError where
    it is no store of ours, OSError, SQLAlchemyError."""
    if place.path is None:
        return postgresql.PostgreSQL(place.url, create=create)
    return sqlite.SQLite(place.path, sync, create=create)


def reading_engine(place: Place) -> Engine:
    """For who only reads, beside the one who writes."""
    if place.path is None:
        return postgresql.engine_of(place.url)
    return sqlite.engine_of(place.path, "ro")
