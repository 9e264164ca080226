"""The circuit breaker of one server: while it is open, nobody asks.

Our own, as `circuitbreaker` neither opens for a given time, nor lets one probe ask while others are
refused.
"""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakSet

from prometheus_client import Counter, Gauge

from predictors.errors import BreakerOpen, HEMError, Unrecorded, UpstreamError
from predictors.upstream.probe import Standing

logger = logging.getLogger("kserve.hem")

CLOSED, HALF_OPEN, OPEN = 0, 1, 2
LONGEST_OPEN_SECONDS: Final = 60.0  # whatever a server asks for by Retry-After
OF_ONE_QUERY: Final = (500, 502)
DOUBLINGS: Final = 5  # of the time for which it opens after those answers
LOG_SECONDS: Final = 60.0  # between two lines about a server that stays down

REASONS: Final = ("breaker_open", "queue_full", "queue_timeout")
REJECTED = Counter(
    "hem_upstream_rejected_total",
    f"Calls refused without an attempt: {', '.join(REASONS)}.",
    ["upstream", "reason"],
)
STATE = Gauge("hem_upstream_breaker", "0 closed, 1 half open, 2 open.", ["upstream"])


_BREAKERS: Final["WeakSet[Breaker]"] = WeakSet()


def is_doubted(url: str) -> bool:
    """Whether a breaker of this process, of a server at this base URL or below it, would let no
    call through now."""
    return any(
        breaker.refusal() is not None
        for breaker in list(_BREAKERS)
        if breaker.name == url or breaker.name.startswith(f"{url}/")
    )


class Breaker:
    """Opens after `failures` in a row that say `down`, never where that is 0; at once for who is
    known to be gone, or asks to be left alone for longer than `patience` seconds. `seconds` later,
    or when that time is over, it lets one attempt through as a probe.

    An answer of 500 may be the fault of its query alone, and 502 is what a server says whose own
    upstream gave it a 500: after these it opens for a 32nd of `seconds`, and for twice that after
    each probe that fails, so that nobody's odd queries take the server away from others.

    The probe's outcome closes it or opens it again; a probe whose caller leaves decides nothing,
    and the next attempt is the probe. Who has nobody else to ask may `insist` on one at once.
    """

    def __init__(self, name: str, failures: int, seconds: float, patience: float) -> None:
        self._name = name
        self._allowed = failures or math.inf
        self._seconds = seconds
        self._patience = patience
        self._count = 0
        self._until: float | None = None
        self._last: HEMError | None = None
        self._probing = False
        self._asked_to_wait = False
        self._refused = 0
        self._told = -math.inf
        self.standing: Standing | None = None
        STATE.labels(name).set_function(lambda: self.state)
        _BREAKERS.add(self)

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> int:
        if self._until is None:
            return CLOSED
        return OPEN if time.monotonic() < self._until else HALF_OPEN

    def refusal(self) -> BreakerOpen | None:
        """Why an attempt would not be let through."""
        if self._until is None or (self.state == HALF_OPEN and not self._probing):
            return None
        left = max(0.0, self._until - time.monotonic())
        return BreakerOpen(f"{self._name} is not called for now: {self._why()}", left)

    def check(self) -> None:
        """Raises BreakerOpen where an attempt would not be let through."""
        refusal = self.refusal()
        if refusal is None:
            return
        REJECTED.labels(self._name, "breaker_open").inc()
        self._refused += 1
        self._tell()
        raise refusal

    def insist(self) -> None:
        """The probe is due now, unless the server itself asked for that time."""
        if self._until is not None and not self._asked_to_wait:
            self._until = min(self._until, time.monotonic())

    @contextmanager
    def admitted(self, computes: bool = True) -> Iterator[None]:
        """Around one attempt. Learns from its end, unless it is cancelled, not made (Unrecorded),
        or succeeds without an answer that was computed."""
        self.check()
        probe = self._until is not None
        self._probing = probe or self._probing
        try:
            yield
        except Unrecorded:
            raise
        except HEMError as error:
            self._learn(error, probe)
            raise
        else:
            if computes:
                self._learn(None, probe)
        finally:
            if probe:
                self._probing = False

    def open(self, error: HEMError, seconds: float | None = None) -> None:
        """Whatever was counted."""
        if self._allowed is math.inf:
            return
        self._last = error
        self._asked_to_wait = False
        self._until = time.monotonic() + min(seconds or self._seconds, LONGEST_OPEN_SECONDS)
        self._tell()
        if self.standing is not None:
            self.standing.learn(error, down=True)

    def _learn(self, error: HEMError | None, probe: bool) -> None:
        """Attempts that began before it opened say nothing new once it has."""
        if self._until is not None:
            if error is not None:
                error.told = True
            if not probe:
                return
        if not (isinstance(error, UpstreamError) and error.down):
            self._close()
            if self.standing is not None:
                self.standing.learn(error, down=False)
            return
        self._count += 1
        wait = error.retry_after or 0.0
        if wait > self._patience:
            self.open(error, wait)
            self._asked_to_wait = True
        elif probe or self._count >= self._allowed:
            self.open(error, self._pause(error))

    def _pause(self, error: UpstreamError) -> float:
        if error.answered not in OF_ONE_QUERY:
            return self._seconds
        failed_probes = min(DOUBLINGS, max(0, int(self._count - self._allowed)))
        return self._seconds / 2.0 ** (DOUBLINGS - failed_probes)

    def _close(self) -> None:
        was_open = self._until is not None
        self._count, self._until, self._last = 0, None, None
        if was_open:
            logger.warning(
                "%s: the circuit breaker is closed again; calls refused: %d",
                self._name,
                self._refused,
            )
            self._refused, self._told = 0, -math.inf

    def _tell(self) -> None:
        """One line a minute, however many calls are refused."""
        now = time.monotonic()
        if now - self._told < LOG_SECONDS:
            return
        self._told = now
        logger.warning(
            "%s: the circuit breaker is open: %s; calls refused so far: %d",
            self._name,
            self._why(),
            self._refused,
        )

    def _why(self) -> str:
        often = f"it failed {self._count} times in a row, at last: " if self._count > 1 else ""
        return f"{often}{self._last}"
