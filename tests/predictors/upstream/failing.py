"""That a call to another server fails by a cause."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from predictors.errors import CAUSES, Cause, UpstreamError


@contextmanager
def failing(
    cause: Cause, match: str | None = None, status: int | None = None
) -> Iterator[pytest.ExceptionInfo[UpstreamError]]:
    """Expects an UpstreamError of that cause, with the table's status if no other is named."""
    with pytest.raises(UpstreamError, match=match) as raised:
        yield raised
    assert raised.value.cause is cause
    assert raised.value.status == (CAUSES[cause].status if status is None else status)
