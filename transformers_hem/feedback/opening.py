"""Opens a store: whoever is first makes its tables, and others wait for that."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from transformers_hem.feedback.migrations import is_current, migrate
from transformers_hem.feedback.place import Place

Sync = Literal["full", "normal"]
# A name for the advisory lock of those who make tables: "HEMF".
LOCK: Final = 0x48454D46
_CONNECT_SECONDS: Final = 5
_STATEMENT_SECONDS: Final = 30


class Database(ABC):
    """One open store, of one thread."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """What is done in it is durable once it has ended, or was not done. Raises Unusable,
        SQLAlchemyError."""

    @abstractmethod
    def is_broken(self, error: DBAPIError) -> bool:
        """Whether it has to be opened anew after this error."""

    def freed(self) -> None:  # noqa: B027 - PostgreSQL does that by itself
        """Rows were deleted that nobody may read any more."""

    @abstractmethod
    def close(self) -> None: ...


class PostgreSQL(Database):
    """Any number of processes may write to it."""

    def __init__(self, place: Place) -> None:
        """Raises SQLAlchemyError, ConfigurationError."""
        seconds = _STATEMENT_SECONDS
        options = f"-c statement_timeout={seconds}s -c lock_timeout={seconds}s"
        given = {"connect_timeout": _CONNECT_SECONDS, "options": options}
        self._engine = create_engine(place.url, poolclass=NullPool, connect_args=given)
        try:
            self._connection = self._engine.connect()
            with self._connection.begin():
                current = is_current(self._connection)
            if not current:
                with self._connection.begin():
                    self._connection.execute(text("SET LOCAL statement_timeout = 0"))
                    self._connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK})
                    if not is_current(self._connection):
                        migrate(self._connection)
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._connection.begin():
            yield self._connection

    def is_broken(self, error: DBAPIError) -> bool:
        return bool(error.connection_invalidated) or not self._is_there()

    def _is_there(self) -> bool:
        driver: Any = self._connection.connection.dbapi_connection
        return driver is not None and not driver.closed

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()


def open_database(place: Place, sync: Sync = "normal", *, create: bool = True) -> Database:
    """`create`: a file that is not there. Raises Unusable, ConfigurationError where it is no store
    of ours, OSError, SQLAlchemyError."""
    if place.path is None:
        return PostgreSQL(place)
    from transformers_hem.feedback.sqlite import SQLite

    return SQLite(place.path, sync, create=create)


def reading_engine(place: Place) -> Engine:
    """For who only reads, beside the one who writes."""
    if place.path is None:
        given = {"connect_timeout": _CONNECT_SECONDS}
        return create_engine(place.url, poolclass=NullPool, connect_args=given)
    from transformers_hem.feedback.sqlite import engine_of

    return engine_of(place.path, "ro")
