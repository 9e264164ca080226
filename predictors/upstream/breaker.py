"""A circuit breaker for one far side: after some failures in a row nobody waits for it any more."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker
from prometheus_client import Counter, Gauge

from predictors.errors import Failure, HEMError, UpstreamError, UpstreamUnavailable

logger = logging.getLogger("kserve.hem")

# A far side that answers 4xx is alive, and so is one that answers nonsense.
DOWN: Final = frozenset({Failure.UNREACHABLE, Failure.TIMEOUT, Failure.SERVER_ERROR})

REJECTED = Counter(
    "hem_upstream_rejected_total",
    "Calls refused without an attempt: breaker_open, queue_full, queue_timeout.",
    ["upstream", "reason"],
)
STATE = Gauge("hem_upstream_breaker", "0 closed, 1 half open, 2 open.", ["upstream"])
STATES: Final = {STATE_CLOSED: 0, STATE_HALF_OPEN: 1, STATE_OPEN: 2}


class Breaker:
    """Opens after `failures` in a row; after `seconds` it lets one attempt through as a probe.

    The probe's outcome closes it or opens it again; a probe whose caller leaves decides nothing,
    and the next attempt is the probe.
    """

    def __init__(self, name: str, failures: int, seconds: float) -> None:
        self._name = name
        self._circuit = CircuitBreaker(
            failure_threshold=failures, recovery_timeout=seconds, expected_exception=_is_down
        )
        self._probing = False
        STATE.labels(name).set_function(lambda: STATES[self._circuit.state])

    def check(self) -> None:
        """Raises UpstreamUnavailable where an attempt would not be let through."""
        if self._circuit.opened or (not self._circuit.closed and self._probing):
            REJECTED.labels(self._name, "breaker_open").inc()
            raise UpstreamUnavailable(
                f"{self._name} is not called for now: it failed {self._circuit.failure_count} "
                f"times in a row, at last: {self._circuit.last_failure}",
                retryable=False,
            )

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Around one attempt. Learns from its end, unless it is cancelled."""
        self.check()
        probe = not self._circuit.closed
        self._probing = probe or self._probing
        try:
            yield
        except HEMError as error:
            self._learn(error, probe)
            raise
        else:
            self._learn(None, probe)
        finally:
            if probe:
                self._probing = False

    def _learn(self, error: HEMError | None, probe: bool) -> None:
        """Attempts that began before it opened say nothing new once it has."""
        if not (probe or self._circuit.closed):
            return
        with suppress(HEMError), self._circuit:
            if error is not None:
                raise error
        if self._circuit.opened:
            logger.warning("%s: the circuit breaker is open: %s", self._name, error)
        elif probe:
            logger.warning("%s: the circuit breaker is closed again", self._name)


def _is_down(_: type[BaseException], error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and error.failure in DOWN
