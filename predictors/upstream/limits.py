"""How long a far side may keep its caller waiting in all; whoever calls that caller outlasts it."""

from typing import Final

QUEUE_SHARE: Final = 0.25


def queue_limit(timeout: float, queue_timeout: float | None = None) -> float:
    """Seconds to wait for a place; where not said, a quarter of the time limit of the call."""
    return timeout * QUEUE_SHARE if queue_timeout is None else queue_timeout


def longest_call(timeout: float, queue_timeout: float | None = None) -> float:
    """Seconds for the wait for a place and the call."""
    return queue_limit(timeout, queue_timeout) + timeout
