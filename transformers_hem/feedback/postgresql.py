"""A store in PostgreSQL: any number of servers write to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from transformers_hem.feedback.database import Database
from transformers_hem.feedback.migrations import is_current, migrate

# A name for the advisory lock of those who make tables: "HEMF".
LOCK: Final = 0x48454D46
_CONNECT_SECONDS: Final = 5
_STATEMENT_SECONDS: Final = 30


class PostgreSQL(Database):
    def __init__(self, url: str) -> None:
        """Raises SQLAlchemyError, ConfigurationError."""
        seconds = _STATEMENT_SECONDS
        options = f"-c statement_timeout={seconds}s -c lock_timeout={seconds}s"
        self._engine = engine_of(url, options)
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


def engine_of(url: str, options: str = "") -> Engine:
    given = {"connect_timeout": _CONNECT_SECONDS, "options": options}
    return create_engine(url, poolclass=NullPool, connect_args=given)
