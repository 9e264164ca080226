"""How a far side is called: at most so many at once, not for ever, again where that may help,
and not at all while it is known to be down.

    call -> queue bound -> place -> deadline -> retries with jitter -> circuit breaker -> attempt

Each failure is quick and has a status, so that an InferenceGraph can let the edge answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from prometheus_client import Counter
from pydantic import Field
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from predictors.errors import Failure, HEMError, Overloaded, UpstreamError, UpstreamTimeout
from predictors.settings import EngineSettings
from predictors.upstream.breaker import REJECTED, Breaker
from predictors.upstream.limits import queue_limit
from predictors.upstream.redaction import NOTHING_SECRET, Redaction

T = TypeVar("T")

DEFAULT_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

# Of `timeout`: that an attempt which had less is late says nothing of the far side.
FULL_SHARE: Final = 0.9

# Seconds between attempts, at random from 0 to 0.1, 0.2, 0.4 ... 2 ("full jitter": M. Brooker,
# Exponential Backoff And Jitter, AWS Architecture Blog 2015).
BACKOFF: Final = wait_random_exponential(multiplier=0.1, max=2.0)

FAILURES = Counter(
    "hem_upstream_failures_total",
    "Attempts that failed: unreachable, timeout, server_error, refused, unusable.",
    ["upstream", "kind"],
)
RETRIES = Counter("hem_upstream_retries_total", "Attempts after the first of a call.", ["upstream"])


class UpstreamSettings(EngineSettings):
    """What every engine has that calls another server."""

    connect_timeout: float = Field(2.0, gt=0, description="seconds to open a connection")
    timeout: float = Field(
        120.0, gt=0, description="seconds for a call that has its place, retries included"
    )
    queue_timeout: float | None = Field(
        None, gt=0, description="seconds to wait for a place; a quarter of timeout if not given"
    )
    retries: int = Field(
        2, ge=0, le=20, description="attempts after the first, where another may help"
    )
    max_concurrency: int = Field(256, ge=1, description="calls at once; more wait in a queue")
    max_queue: int = Field(1024, ge=0, description="calls that may wait; more are refused with 503")
    max_answer_bytes: int = Field(
        DEFAULT_MAX_ANSWER_BYTES,
        gt=0,
        lt=2**31,  # gRPC's options are integers of 32 bits
        description="largest answer in bytes, unpacked; above it: 502",
    )
    breaker_failures: int = Field(
        5, ge=1, description="failures in a row (unreachable, timeout, 5xx) that open the breaker"
    )
    breaker_seconds: float = Field(
        10.0, gt=0, description="seconds an open breaker refuses calls before it lets one probe"
    )


class Upstream:
    """One far side. `name` is what errors and metrics call it: its URL."""

    def __init__(self, name: str, settings: UpstreamSettings) -> None:
        self.name = name
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_concurrency)
        self._waiting = 0
        self._breaker = Breaker(name, settings.breaker_failures, settings.breaker_seconds)

    async def call(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns; it may run several times, and is cancelled at the deadline.

        The deadline is `timeout` seconds after the call got its place: one that had to wait for it
        has as long as any other, and says as much of the far side.

        `attempt` raises HEMError. Raises its last one; Overloaded where the queue is full or no
        slot came free in time; UpstreamTimeout at the deadline; UpstreamUnavailable at once while
        the breaker is open. A cancelled call is neither a failure nor a success.
        """
        self._breaker.check()
        async with self._slot():
            deadline = asyncio.get_running_loop().time() + self._settings.timeout
            return await self._retrying(deadline)(self._one_attempt, attempt, deadline)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        await self._take_slot()
        try:
            yield
        finally:
            self._slots.release()

    async def _take_slot(self) -> None:
        limits = self._settings
        seconds = queue_limit(limits.timeout, limits.queue_timeout)
        if self._slots.locked() and self._waiting >= limits.max_queue:
            REJECTED.labels(self.name, "queue_full").inc()
            raise Overloaded(
                f"{self.name} has {limits.max_concurrency} calls at once and {self._waiting} "
                "waiting, as many as it may"
            )
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                await self._slots.acquire()
        except TimeoutError:
            REJECTED.labels(self.name, "queue_timeout").inc()
            raise Overloaded(
                f"{self.name} had no place for the call within {seconds:g} s"
            ) from None
        finally:
            self._waiting -= 1

    def _retrying(self, deadline: float) -> AsyncRetrying:
        left = deadline - asyncio.get_running_loop().time()
        return AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, UpstreamError) and e.retryable),
            wait=_seconds_to_wait,
            stop=stop_after_attempt(self._settings.retries + 1) | stop_before_delay(left),
            before_sleep=lambda _: RETRIES.labels(self.name).inc(),
            reraise=True,
        )

    async def _one_attempt(self, attempt: Callable[[], Awaitable[T]], deadline: float) -> T:
        try:
            with self._breaker.admitted(), self._counted(deadline):
                async with asyncio.timeout_at(deadline):
                    return await attempt()
        except TimeoutError:
            raise self._late() from None

    @contextmanager
    def _counted(self, deadline: float) -> Iterator[None]:
        """Around one attempt. A TimeoutError that says nothing of the far side goes on as it is, so
        that the breaker does not learn from it either."""
        left = deadline - asyncio.get_running_loop().time()
        try:
            yield
        except TimeoutError:
            if left < self._settings.timeout * FULL_SHARE:
                raise
            self._count(Failure.TIMEOUT)
            raise self._late() from None
        except UpstreamError as error:
            self._count(error.failure)
            raise

    def _late(self) -> UpstreamTimeout:
        return UpstreamTimeout(f"{self.name} did not answer within {self._settings.timeout:g} s")

    def _count(self, failure: Failure) -> None:
        FAILURES.labels(self.name, failure).inc()


@contextmanager
def reading(
    where: str,
    redaction: Redaction = NOTHING_SECRET,
    passing: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Around what reads an answer of `where`: whatever fails there, the answer is at fault.

    Raises UpstreamError with what of the reason may be told. Errors of `passing` go on as they are.
    """
    try:
        yield
    except UpstreamError:
        raise
    except passing:
        raise
    except (ValueError, HEMError) as error:
        raise UpstreamError(f"{where} answered {redaction.reason(str(error))}") from None
    except Exception as error:
        reason = redaction.reason(f"{type(error).__name__}: {error}")
        raise UpstreamError(f"{where} answered what can't be read: {reason}") from None


def _seconds_to_wait(state: RetryCallState) -> float:
    """What the far side asked for, and some jitter: those it refused should not return at once."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, UpstreamError) else None
    return (asked or 0.0) + BACKOFF(state)
