"""How another server is called: at most so many at once, not for ever, again where that may help,
and not at all while it is known to be down.

    call -> queue bound -> place -> deadline -> retries with jitter -> breaker -> watch -> attempt

Each failure is quick and has a status, so that an InferenceGraph can let the edge answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from prometheus_client import Counter, Gauge
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from predictors.errors import BreakerOpen, Cause, Overloaded, UpstreamError
from predictors.upstream.breaker import REASONS, REJECTED, Breaker
from predictors.upstream.ledger.sent import CALL, Call
from predictors.upstream.limits import queue_limit
from predictors.upstream.probe import Look, Standing, watch
from predictors.upstream.settings import Limits
from predictors.upstream.watch import Alive, Watch

T = TypeVar("T")

# Of `timeout`: an attempt that had less of it and is late does not show that the server is down.
FULL_SHARE: Final = 0.9

FAILURES = Counter(
    "hem_upstream_failures_total",
    f"Attempts that failed: {', '.join(Cause)}.",
    ["upstream", "kind"],
)
ATTEMPTS = Counter(
    "hem_upstream_attempts_total", "Attempts at it, whatever their end.", ["upstream"]
)
WAITING = Gauge("hem_upstream_waiting", "Calls that wait for a place in its queue.", ["upstream"])
RUNNING = Gauge("hem_upstream_running", "Calls that have a place.", ["upstream"])
RETRIES = Counter("hem_upstream_retries_total", "Attempts after the first of a call.", ["upstream"])


class Upstream:
    """One server. `name` is what errors and metrics call it: its URL.

    Between attempts it waits at random from 0 to `first_wait` seconds, then to twice that, and so
    on to `longest_wait` ("full jitter": M. Brooker, Exponential Backoff And Jitter, AWS
    Architecture Blog 2015). `alive` is how to learn that it lives while a call waits: see Watch.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        alive: Alive | None = None,
        first_wait: float = 0.1,
        longest_wait: float = 2.0,
    ) -> None:
        self.name = name
        self._limits = limits
        self._backoff = wait_random_exponential(multiplier=first_wait, max=longest_wait)
        self._places = asyncio.Semaphore(limits.max_concurrency)
        self._waiting = 0
        self.running = 0  # calls that have a place
        self._attempts = ATTEMPTS.labels(name)
        RETRIES.labels(name)  # a series that is not there yet has no rate
        for reason in REASONS:
            REJECTED.labels(name, reason)
        self._gauges = (WAITING.labels(name), RUNNING.labels(name))
        self._breaker = Breaker(
            name, limits.breaker_failures, limits.breaker_seconds, limits.retry_seconds
        )
        self._watch = Watch(name, limits, alive, self._breaker.open)
        self._watching: asyncio.Task[None] | None = None

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        retry: bool = True,
        streams: bool = False,
        computes: bool = True,
    ) -> T:
        """What `attempt` returns; it may run several times, and is cancelled at the deadline.
        `streams`: its answer comes bit by bit, while it is computed. Where it is not computed at
        all, as a description of a model, its success says nothing of answers that are.

        The deadline is `timeout` seconds after the call got its place: one that had to wait for it
        has as long as any other, and shows as much of the server.

        `attempt` raises HEMError. Raises its last one; Overloaded where the queue is full or no
        place came free in time; UpstreamError at the deadline, and at once while the breaker is
        open. A cancelled call is neither a failure nor a success.
        """
        self._breaker.check()
        await self._take_place()
        token = CALL.set(Call())
        running = self._gauges[1]
        running.inc()
        self.running += 1
        try:
            deadline = asyncio.get_running_loop().time() + self._limits.timeout
            if not (retry and self._limits.retries):
                return await self._attempt(attempt, deadline, streams, computes)
            return await self._retrying()(self._attempt, attempt, deadline, streams, computes)
        finally:
            running.dec()
            self.running -= 1
            CALL.reset(token)
            self._places.release()

    def refuses(self) -> BreakerOpen | None:
        """Why a call would not be tried now, as the breaker is open."""
        try:
            self._breaker.check()
        except BreakerOpen as refused:
            return refused
        return None

    def doubts(self) -> BreakerOpen | None:
        """The same, where no call is about to be made."""
        return self._breaker.refusal()

    def insist(self) -> None:
        """The next call is tried though the breaker is open: one at a time, and none before a time
        that the server asked for is over."""
        self._breaker.insist()

    def watch(self, look: Look) -> None:
        """Tells in log and metrics whether the server answers: from `look`, one cheap request, for
        a while, and from calls until `close`."""
        standing = self._breaker.standing = Standing(self.name)
        self._watching = asyncio.create_task(watch(look, standing))

    async def close(self) -> None:
        """Ends what is asked besides calls, before its client is closed: a connection that is made
        behind that would be nobody's."""
        if self._watching is not None and not self._watching.done():
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._watch.close()

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
        waiting = self._gauges[0]
        waiting.inc()
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
            waiting.dec()

    def _retrying(self) -> AsyncRetrying:
        limits = self._limits
        return AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, UpstreamError) and e.retryable),
            wait=self._seconds_to_wait,
            stop=stop_after_attempt(limits.retries + 1)
            | stop_before_delay(min(limits.retry_seconds, limits.timeout)),
            before_sleep=lambda _: RETRIES.labels(self.name).inc(),
            reraise=True,
        )

    def _seconds_to_wait(self, state: RetryCallState) -> float:
        """What the server asked for, and some jitter: those it refused should not return at
        once."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        return (asked or 0.0) + self._backoff(state)

    async def _attempt(
        self, attempt: Callable[[], Awaitable[T]], deadline: float, streams: bool, computes: bool
    ) -> T:
        """One attempt, counted. The breaker doesn't learn from one that had too little time."""
        left = deadline - asyncio.get_running_loop().time()
        try:
            with self._breaker.admitted(computes):
                self._attempts.inc()
                try:
                    return await self._watched(attempt, deadline, streams)
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

    async def _watched(
        self, attempt: Callable[[], Awaitable[T]], deadline: float, streams: bool
    ) -> T:
        """Raises TimeoutError at the deadline, and why the server was given up before."""
        fault: UpstreamError | None = None
        try:
            async with asyncio.timeout_at(deadline) as timeout:
                with self._watch.over(timeout, streams) as arrival:
                    try:
                        return await attempt()
                    finally:
                        fault = arrival.fault
        except TimeoutError:
            if fault is None:
                raise
        raise fault

    def _late(self) -> UpstreamError:
        text = f"{self.name} did not answer within {self._limits.timeout:g} s"
        return UpstreamError(text, Cause.TIMEOUT)
