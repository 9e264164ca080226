"""How long the gateway waits for an answer: for its first token, and for each that follows."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from predictors.errors import Cause, HEMError, UpstreamError

# Of what is left of a caller's deadline, where another side can answer in the rest.
SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds. Upstream's limits bound connecting and the whole of an attempt."""

    first_token: float
    between_tokens: float


class DeadlineOver(HEMError):
    """The caller wants no answer any more."""

    status = 504


class Pace:
    """Of the attempts at one answer, of the server called `name`. One that does not `stream` says
    nothing before it is whole, and only `by` bounds it: the loop's time until which this server has
    to have begun (to have answered, where it does not stream), as another one has to have some of
    the caller's deadline.

    It ends an attempt at the very time, by an UpstreamError. `waited` learns how long each had to
    wait for its first token, or in vain.
    """

    def __init__(
        self,
        limits: TimeLimits,
        name: str,
        *,
        streams: bool,
        by: float | None = None,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._limits = limits
        self._name = name
        self._streams = streams
        self._by = by
        self._waited = waited
        self._loop = asyncio.get_running_loop()
        self._began = self._heard = 0.0
        self._speaks = self._under_way = self._paused = False
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._fault: UpstreamError | None = None

    @asynccontextmanager
    async def over(self) -> AsyncIterator[None]:
        """Around one attempt."""
        self._began = self._loop.time()
        self._speaks, self._fault = False, None
        self._timeout = asyncio.timeout(None)
        try:
            async with self._timeout:
                self._under_way = True
                self._set()
                yield
        except TimeoutError:
            if self._fault is None:
                raise
            raise self._fault from None
        finally:
            self._under_way = False
            if not self._speaks:
                self._waited(self._loop.time() - self._began)
            if self._timer is not None:
                self._timer.cancel()

    def token(self) -> None:
        """One is there. Cheap behind the first: the timer that is set then looks when it was."""
        self._heard = self._loop.time()
        if not self._speaks:
            self._speaks = True
            if self._under_way:
                self._waited(self._heard - self._began)
                self._set()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it nobody reads what comes, and no token is waited for."""
        self._paused = True
        try:
            yield
        finally:
            self._paused, self._heard = False, self._loop.time()
            if self._under_way:
                self._set()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._due()
        self._timer = None if due is None else self._loop.call_at(due, self._look)

    def _look(self) -> None:
        due = self._due()
        if due is not None and due <= self._loop.time():
            self._fault = self._late()
            self._timeout.reschedule(due)
        else:
            self._set()

    def _due(self) -> float | None:
        """When it is given up; None: never."""
        if self._paused:
            return None
        if self._speaks:
            return self._heard + self._limits.between_tokens
        if not self._streams:
            return self._by
        first = self._began + self._limits.first_token
        return first if self._by is None else min(first, self._by)

    def _late(self) -> UpstreamError:
        if self._speaks:
            seconds, name = self._limits.between_tokens, "HEM_BETWEEN_TOKENS_SECONDS"
            text = f"sent no more of its answer for {seconds:g} s ({name})"
        elif self._by is not None and self._due() == self._by:
            text = "did not answer in its share of the caller's deadline (x-hem-deadline)"
            return UpstreamError(f"{self._name} {text}", Cause.TIMEOUT, down=False)
        else:
            seconds = self._limits.first_token
            text = f"began no answer within {seconds:g} s (HEM_FIRST_TOKEN_SECONDS)"
        return UpstreamError(f"{self._name} {text}", Cause.TIMEOUT)
