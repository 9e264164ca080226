"""The time that ages are measured by, where a clock may jump."""

import logging
import time
from typing import Final

logger = logging.getLogger("kserve.hem")

JUMP: Final = 3600.0  # seconds; less is set right by whoever keeps the clock
BELIEVED: Final = 86_400.0  # seconds after which a clock that jumped forward is right


class SteadyClock:
    """time.time(), but that a jump forward is followed a day later: for an hour in a wrong year all
    that a store has would be too old, and be deleted. A jump back is followed at once, as nothing
    is lost by it. A machine that slept jumps, too: what is too old goes a day later then."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()
        self._jumped: float | None = None

    def now(self) -> float:
        """Seconds since 1970."""
        steady = time.monotonic()
        ahead = time.time() - steady
        if ahead - self._ahead <= JUMP:
            self._jumped, self._ahead = None, ahead
        elif self._jumped is None:
            self._jumped = steady
            logger.warning(
                "feedback: the clock jumped forward by %.0f s; by it nothing is deleted for its "
                "age until it stayed so for a day",
                ahead - self._ahead,
            )
        elif steady - self._jumped >= BELIEVED:
            self._jumped, self._ahead = None, ahead
        return steady + self._ahead
