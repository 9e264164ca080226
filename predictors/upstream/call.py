"""How another server is called: at most so many at once, not for ever, again where that may help,
and not at all while it is known to be down.

    call -> queue bound -> place -> deadline -> retries with jitter -> circuit breaker -> attempt

Each failure is quick and has a status, so that an InferenceGraph can let the edge answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker
from prometheus_client import Counter, Gauge
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from predictors.errors import CAUSES, Cause, HEMError, Overloaded, UpstreamError
from predictors.upstream.limits import queue_limit
from predictors.upstream.probe import Look, Standing, watch
from predictors.upstream.settings import Limits

T = TypeVar("T")
logger = logging.getLogger("kserve.hem")

# Of `timeout`: an attempt that had less of it and is late does not show that the server is down.
FULL_SHARE: Final = 0.9

FAILURES = Counter(
    "hem_upstream_failures_total",
    f"Attempts that failed: {', '.join(Cause)}.",
    ["upstream", "kind"],
)
RETRIES = Counter("hem_upstream_retries_total", "Attempts after the first of a call.", ["upstream"])
REJECTED = Counter(
    "hem_upstream_rejected_total",
    "Calls refused without an attempt: breaker_open, queue_full, queue_timeout.",
    ["upstream", "reason"],
)
STATE = Gauge("hem_upstream_breaker", "0 closed, 1 half open, 2 open.", ["upstream"])
STATES: Final = {STATE_CLOSED: 0, STATE_HALF_OPEN: 1, STATE_OPEN: 2}


class Upstream:
    """One server. `name` is what errors and metrics call it: its URL.

    Between attempts it waits at random from 0 to `first_wait` seconds, then to twice that, and so
    on to `longest_wait` ("full jitter": M. Brooker, Exponential Backoff And Jitter, AWS
    Architecture Blog 2015).
    """

    def __init__(
        self, name: str, limits: Limits, *, first_wait: float = 0.1, longest_wait: float = 2.0
    ) -> None:
        self.name = name
        self._limits = limits
        self._backoff = wait_random_exponential(multiplier=first_wait, max=longest_wait)
        self._places = asyncio.Semaphore(limits.max_concurrency)
        self._waiting = 0
        self._watching: asyncio.Task[None] | None = None
        self._breaker = Breaker(name, limits.breaker_failures, limits.breaker_seconds)

    async def call(self, attempt: Callable[[], Awaitable[T]], *, retry: bool = True) -> T:
        """What `attempt` returns; it may run several times, and is cancelled at the deadline.

        The deadline is `timeout` seconds after the call got its place: one that had to wait for it
        has as long as any other, and shows as much of the server.

        `attempt` raises HEMError. Raises its last one; Overloaded where the queue is full or no
        place came free in time; UpstreamError at the deadline, and at once while the breaker is
        open. A cancelled call is neither a failure nor a success.
        """
        self._breaker.check()
        await self._take_place()
        try:
            deadline = asyncio.get_running_loop().time() + self._limits.timeout
            if not (retry and self._limits.retries):
                return await self._attempt(attempt, deadline)
            return await self._retrying()(self._attempt, attempt, deadline)
        finally:
            self._places.release()

    def watch(self, look: Look) -> None:
        """Tells in log and metrics whether the server answers: from `look`, one cheap request, for
        a while, and from calls until `close`."""
        standing = self._breaker.standing = Standing(self.name)
        self._watching = asyncio.create_task(watch(look, standing))

    def close(self) -> None:
        if self._watching:
            self._watching.cancel()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()  # which is there at once, without a timer
            return
        limits = self._limits
        seconds = queue_limit(limits.timeout, limits.queue_timeout)
        if self._waiting >= limits.max_queue:
            REJECTED.labels(self.name, "queue_full").inc()
            raise Overloaded(
                f"{self.name} has {limits.max_concurrency} calls at once and {self._waiting} "
                "waiting, as many as it may"
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError:
            REJECTED.labels(self.name, "queue_timeout").inc()
            raise Overloaded(
                f"{self.name} had no place for the call within {seconds:g} s"
            ) from None
        finally:
            self._waiting -= 1

    def _retrying(self) -> AsyncRetrying:
        limits = self._limits
        return AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, UpstreamError) and e.retryable),
            wait=self._seconds_to_wait,
            stop=stop_after_attempt(limits.retries + 1) | stop_before_delay(limits.timeout),
            before_sleep=lambda _: RETRIES.labels(self.name).inc(),
            reraise=True,
        )

    def _seconds_to_wait(self, state: RetryCallState) -> float:
        """What the server asked for, and some jitter: those it refused should not return at
        once."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        return (asked or 0.0) + self._backoff(state)

    async def _attempt(self, attempt: Callable[[], Awaitable[T]], deadline: float) -> T:
        """One attempt, counted. The breaker doesn't learn from one that had too little time."""
        left = deadline - asyncio.get_running_loop().time()
        try:
            with self._breaker.admitted():
                try:
                    async with asyncio.timeout_at(deadline):
                        return await attempt()
                except TimeoutError:
                    if left < self._limits.timeout * FULL_SHARE:
                        raise
                    error = self._late()
                except UpstreamError as failure:
                    error = failure
                FAILURES.labels(self.name, error.cause).inc()
                raise error
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> UpstreamError:
        text = f"{self.name} did not answer within {self._limits.timeout:g} s"
        return UpstreamError(text, Cause.TIMEOUT)


class Breaker:
    """Opens after `failures` in a row that say `down` in CAUSES, never where that is 0; after
    `seconds` it lets one attempt through as a probe.

    The probe's outcome closes it or opens it again; a probe whose caller leaves decides nothing,
    and the next attempt is the probe.
    """

    def __init__(self, name: str, failures: int, seconds: float) -> None:
        self._name = name
        self._circuit = CircuitBreaker(
            failure_threshold=failures,
            recovery_timeout=seconds,
            expected_exception=lambda _, error: bool(failures) and _is_down(error),
        )
        self._probing = False
        self.standing: Standing | None = None
        STATE.labels(name).set_function(lambda: STATES[self._circuit.state])

    def check(self) -> None:
        """Raises UpstreamError where an attempt would not be let through."""
        if self._circuit.opened or (not self._circuit.closed and self._probing):
            REJECTED.labels(self._name, "breaker_open").inc()
            raise UpstreamError(
                f"{self._name} is not called for now: it failed {self._circuit.failure_count} "
                f"times in a row, at last: {self._circuit.last_failure}",
                Cause.UNREACHABLE,
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
        if self.standing is not None:
            self.standing.learn(error, down=self._circuit.opened)
        if self._circuit.opened:
            logger.warning("%s: the circuit breaker is open: %s", self._name, error)
        elif probe:
            logger.warning("%s: the circuit breaker is closed again", self._name)


def _is_down(error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and CAUSES[error.cause].down
