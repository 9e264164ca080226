"""What people are told of a graph that fails; light, as `hem ask` imports it."""

from collections.abc import Iterator
from contextlib import contextmanager

from predictors.errors import Cause, UpstreamError


def cloud_failed(failure: str = "") -> str:
    """What people are told of a degraded answer; `failure` is a status or a cause in one word."""
    return f"the cloud failed ({failure})" if failure else "the cloud failed"


@contextmanager
def hint_where_nobody_listens() -> Iterator[None]:
    """Around a call to a graph: adds the way out to the error of one that is not running."""
    try:
        yield
    except UpstreamError as error:
        if error.cause is not Cause.UNREACHABLE or not error.retryable:
            raise
        hint = "is it up? `hem up` starts the example, --url asks another"
        raise UpstreamError(f"{error}; {hint}", error.cause) from None
