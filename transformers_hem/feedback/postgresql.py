"""A store in PostgreSQL: any number of servers write to it.

Each limit is a little longer than the one inside it, so that the one that can say most is told: of
a lock or a statement PostgreSQL's own; of a server that is stopped, or gone without a word, ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from predictors.errors import ConfigurationError, first_line
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.migrations import are_made, is_current, migrate
from transformers_hem.feedback.place import INSTALL

# A name for the advisory lock of those who make tables: "HEMF".
LOCK: Final = 0x48454D46
_CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 30
SILENT_SECONDS: Final = 35.0
# Who reads asks for all rows in order, and the first of them comes when all are sorted.
READ_SECONDS: Final = 120.0


class PostgreSQL(Database):
    def __init__(self, url: str, *, create: bool = True, silent: float = SILENT_SECONDS) -> None:
        """`create`: tables that are not there. `silent`: seconds after which a server that says
        nothing is given up. Raises Unusable, SQLAlchemyError, ConfigurationError."""
        seconds = STATEMENT_SECONDS
        options = f"-c statement_timeout={seconds}s -c lock_timeout={seconds}s"
        self._engine = engine_of(url, silent, options)
        try:
            self._connection = self._engine.connect()
            with self._connection.begin():
                current = is_current(self._connection)
                gone = not (current or create or are_made(self._connection))
            if gone:
                raise Unusable(
                    "the tables of the store are gone: put a copy back, or start the server anew "
                    "to begin others"
                )
            if not current:
                self._make_tables()
        except BaseException:
            self._engine.dispose()
            raise

    def _make_tables(self) -> None:
        """Those who start together wait for each other; what changes large tables takes its
        time."""
        driver: Any = self._connection.connection.dbapi_connection
        silent, driver.seconds = driver.seconds, None
        with self._connection.begin():
            self._connection.execute(text("SET LOCAL statement_timeout = 0"))
            self._connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": LOCK})
            if not is_current(self._connection):
                migrate(self._connection)
        driver.seconds = silent

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


def engine_of(url: str, silent: float = READ_SECONDS, options: str = "") -> Engine:
    """`options` are PostgreSQL's; those that the URL names come behind them, and count. Raises
    ConfigurationError where psycopg can't be loaded."""
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ImportError as error:  # also where the library that it is made for is not there
        raise ConfigurationError(
            f"psycopg can't be loaded, which a store in PostgreSQL needs: {first_line(error)}; "
            f"try: {INSTALL}"
        ) from None

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, record: Any, given: list[Any], named: dict[str, Any]) -> Any:
        from transformers_hem.feedback.answering import AnsweringConnection

        named.setdefault("connect_timeout", _CONNECT_SECONDS)
        named["options"] = f"{options} {named.get('options', '')}".strip()
        connection = AnsweringConnection.connect(*given, **named)
        connection.seconds = silent
        return connection

    return engine
