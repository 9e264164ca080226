"""Both kinds of stores, for real: a file, and a PostgreSQL that a package carries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQL, postgresql_server
from transformers_hem.feedback.place import Place, read_place


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for all tests of this process."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Of a store that nobody has made yet."""
    if request.param == "sqlite":
        return read_place(str(tmp_path / "feedback.db"))
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return read_place(server.new_database())
