"""How long the gateway waits for an answer: for its first token, and for each that follows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
        self._speaks = False
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
                self._look()
                yield
        except TimeoutError:
            if self._fault is None:
                raise
            raise self._fault from None
        finally:
            if not self._speaks:
                self._waited(self._loop.time() - self._began)
            if self._timer is not None:
                self._timer.cancel()

    def token(self) -> None:
        """One is there. Cheap: the timer that is set already looks when it was."""
        self._heard = self._loop.time()
        if not self._speaks:
            self._speaks = True
            self._waited(self._heard - self._began)

    def _look(self) -> None:
        due, fault = self._due()
        if fault is None:
            return
        if due <= self._loop.time():
            self._fault = fault
            self._timeout.reschedule(due)
        else:
            self._timer = self._loop.call_at(due, self._look)

    def _due(self) -> tuple[float, UpstreamError | None]:
        """When it is given up, and why; never where there is no error."""
        if self._speaks:
            seconds = self._limits.between_tokens
            text = f"sent no more of its answer for {seconds:g} s (HEM_BETWEEN_TOKENS_SECONDS)"
            return self._heard + seconds, self._late(text)
        seconds = self._limits.first_token
        due = self._began + seconds
        if self._by is not None and (self._by < due or not self._streams):
            text = "did not answer in its share of the caller's deadline (x-hem-deadline)"
            return self._by, self._late(text, down=False)
        if not self._streams:
            return 0.0, None
        return due, self._late(f"began no answer within {seconds:g} s (HEM_FIRST_TOKEN_SECONDS)")

    def _late(self, text: str, *, down: bool | None = None) -> UpstreamError:
        return UpstreamError(f"{self._name} {text}", Cause.TIMEOUT, down=down)
