"""How long a service that died waits before it starts again."""

from time import monotonic
from typing import Final

# The first is long enough to be noticed; then twice as long each time, until the service has run
# for RECOVERED_SECONDS. A cluster's kubelet does the same, from 10 s to 300 s.
FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 60.0
RECOVERED_SECONDS: Final = 60.0


class Backoff:
    """Of several services, by name."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._waits: dict[str, float] = {}

    def started(self, name: str) -> None:
        self._started[name] = monotonic()

    def died(self, name: str) -> float:
        """Seconds to wait now."""
        recovered = monotonic() - self._started[name] >= RECOVERED_SECONDS
        before = None if recovered else self._waits.get(name)
        wait = FIRST_SECONDS if before is None else min(2 * before, LONGEST_SECONDS)
        self._waits[name] = wait
        return wait
