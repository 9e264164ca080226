"""How long a call may take in all; whoever calls the caller has to wait longer."""

from typing import Final

QUEUE_SHARE: Final = 0.25


def queue_limit(timeout: float, queue_timeout: float | None = None) -> float:
    """Seconds to wait for a place; by default a quarter of the time limit of the call."""
    return timeout * QUEUE_SHARE if queue_timeout is None else queue_timeout


def longest_call(timeout: float, queue_timeout: float | None = None) -> float:
    """Seconds for the wait for a place and the call."""
    return queue_limit(timeout, queue_timeout) + timeout
