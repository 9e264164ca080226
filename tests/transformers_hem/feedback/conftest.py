"""Stores of a test, of either kind."""

from collections.abc import Callable, Iterator

import pytest

from transformers_hem.feedback.database import Database
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import Place

Opens = Callable[[], Database]


@pytest.fixture
def opens(place: Place) -> Iterator[Opens]:
    """Opens the store of this test; all are closed at its end."""
    opened: list[Database] = []

    def open_it() -> Database:
        opened.append(open_database(place))
        return opened[-1]

    yield open_it
    for database in opened:
        database.close()
