"""Makes the tables of a store, and changes those that an older version made.

A change of `tables` is a new file in versions/, and HEAD is its revision.
"""

import threading
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from predictors.errors import ConfigurationError

HEAD: Final = "0001"
TABLE: Final = "alembic_version"
_MUTEX: Final = threading.Lock()  # what Alembic works on is global


def are_made(connection: Connection) -> bool:
    """Whether there are tables of ours, of whichever version."""
    return inspect(connection).has_table(TABLE)


def is_current(connection: Connection) -> bool:
    """Alembic is imported only where it has something to do. Raises ConfigurationError for a store
    of a newer version."""
    if not are_made(connection):
        return False
    found = connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()
    if found is not None and str(found) > HEAD:
        raise ConfigurationError(
            f"its tables are of version {found}, and this version of HEM knows {HEAD}: install "
            "the newer one again, or give another store"
        )
    return bool(found == HEAD)


def migrate(connection: Connection) -> None:
    """Up to HEAD; the caller holds the store's lock."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    given: dict[str, Any] = config.attributes
    given["connection"] = connection
    with _MUTEX:
        command.upgrade(config, "head")
