"""Who waits for a server: all attempts under way, and whether it lives.

A call that waits is no sign of a server that is down: a model may think for a minute. So when one
is overdue the server is asked for its health beside it, and only where that isn't answered for as
long as it may take, and nothing else came in that time, and no request went on being taken, is it
given up; then all are that wait, at once. What has begun to come must go on.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any, Final

from predictors.errors import Cause, UpstreamError
from predictors.upstream.arrival import ARRIVAL, Arrival
from predictors.upstream.settings import Limits

Alive = Callable[[], Awaitable[Any]]

TICK_SECONDS: Final = 0.1
GRACE_SECONDS: Final = 1.25  # that an item may take, however small it is
# Limits of streams where none are set: by what the last streams took, and by the time limit.
STREAMS_KEPT: Final = 100
TIMES_FIRST, FIRST_SHARE = 4.0, 0.3
TIMES_GAP, GAP_SHARE = 10.0, 0.1


class Watched(Arrival):
    """An Arrival with the timeout that ends its attempt, and why it was ended."""

    def __init__(self, timeout: asyncio.Timeout, **options: Any) -> None:
        super().__init__(**options)
        self._timeout = timeout
        self.fault: UpstreamError | None = None

    def cut(self, fault: UpstreamError) -> None:
        with suppress(RuntimeError):  # it ends just now
            self._timeout.reschedule(asyncio.get_running_loop().time())
            self.fault = fault


class Watch:
    """Of one server, called `name`. `alive` asks whether it lives, in any way that a busy server
    answers at once: whatever it answers it does; None: it can't be asked. `dead` is called with the
    error of those that were given up.

    Its clock stands still while the event loop is stuck: an answer may be there, and not read yet.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        alive: Alive | None,
        dead: Callable[[UpstreamError], None],
    ) -> None:
        self._name = name
        self._limits = limits
        self._alive = alive if limits.health_timeout else None
        self._dead = dead
        self._arrivals: set[Watched] = set()
        self._now = self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._health: asyncio.Task[None] | None = None
        self._lived = self._asked = float("-inf")
        # Of the calls that waited when it was asked for its health: bytes that it has not taken.
        self._unsent: dict[Watched, int] = {}
        self._firsts: deque[float] = deque(maxlen=STREAMS_KEPT)
        self._gaps: deque[float] = deque(maxlen=STREAMS_KEPT)

    @contextmanager
    def over(self, timeout: asyncio.Timeout, streams: bool) -> Iterator[Watched]:
        """Around one attempt that `timeout` ends."""
        self._start()
        arrival = Watched(
            timeout,
            clock=self._clock,
            rate=self._limits.min_bytes_per_second,
            grace=GRACE_SECONDS,
            streams=streams,
        )
        self._arrivals.add(arrival)
        token = ARRIVAL.set(arrival)
        try:
            yield arrival
            self._lived = self._now
            if streams and arrival.first is not None:
                self._firsts.append(arrival.first - arrival.began)
                self._gaps.append(arrival.longest_gap)
        except UpstreamError as error:
            if error.answered is not None:
                self._lived = self._now
            raise
        finally:
            ARRIVAL.reset(token)
            self._arrivals.discard(arrival)

    async def close(self) -> None:
        """The server is not asked for its health any more."""
        self._alive = None
        if self._health is not None:
            self._health.cancel()
            await asyncio.wait([self._health])

    def _clock(self) -> float:
        return self._now

    def _start(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._ticked = loop.time()
            self._timer = loop.call_later(TICK_SECONDS, self._tick, context=Context())

    def _tick(self) -> None:
        self._timer = None
        if not self._arrivals:
            return
        before = self._ticked
        self._start()
        self._now += min(self._ticked - before, 2 * TICK_SECONDS)
        for arrival in list(self._arrivals):
            if fault := self._fault(arrival):
                arrival.cut(UpstreamError(fault, Cause.TIMEOUT))
        self._look_at_requests()
        self._look_after()

    def _fault(self, arrival: Watched) -> str | None:
        """Why this one alone is given up."""
        name, limits = self._name, self._limits
        if arrival.drips:
            least = f"{limits.min_bytes_per_second:g} bytes/s (min_bytes_per_second)"
            return f"{name} drips: its answer comes at less than {least}"
        if not arrival.streams:
            return None
        waited = self._now - arrival.heard
        if arrival.first is None and waited > (limit := self._first_limit()):
            return f"{name} began no answer within {limit:g} s (first_byte_timeout)"
        if arrival.first is not None and waited > (limit := self._gap_limit()):
            return f"{name} sent no more of its answer for {limit:g} s (between_bytes_timeout)"
        return None

    def _first_limit(self) -> float:
        usual = TIMES_FIRST * max(self._firsts, default=0.0)
        limits = self._limits
        return limits.first_byte_timeout or max(usual, FIRST_SHARE * limits.timeout)

    def _gap_limit(self) -> float:
        usual = TIMES_GAP * max(self._gaps, default=0.0)
        limits = self._limits
        return limits.between_bytes_timeout or max(usual, GAP_SHARE * limits.timeout)

    def _look_after(self) -> None:
        """Asks for the server's health where a call is overdue: once at a time, and as long after
        the last time."""
        if self._alive is None or self._health is not None:
            return
        overdue = self._now - self._limits.overdue_seconds
        if self._asked < overdue and any(arrival.heard < overdue for arrival in self._arrivals):
            self._health = asyncio.get_running_loop().create_task(
                self._ask(self._alive), context=Context()
            )

    def _look_at_requests(self) -> None:
        """One that goes on being taken is a sign of life. Of one that began later it is none: what
        lies in between takes its first bytes, however dead the server is."""
        for arrival in self._unsent.keys() & self._arrivals:
            before, self._unsent[arrival] = self._unsent[arrival], arrival.unsent()
            if self._unsent[arrival] < before:
                self._lived = self._now

    def _gone(self) -> UpstreamError:
        limit = f"{self._limits.health_timeout:g} s (health_timeout)"
        text = f"{self._name} did not answer, nor tell its health within {limit}"
        error = UpstreamError(text, Cause.TIMEOUT)
        error.told = True  # by the breaker that opens, once for all
        return error

    async def _ask(self, alive: Alive) -> None:
        """Until it answers, or nothing at all has come of it for `health_timeout` seconds."""
        lived, seconds = self._now, self._limits.health_timeout
        self._unsent = {arrival: arrival.unsent() for arrival in self._arrivals}
        try:
            while not await _answers(alive, seconds):
                last = max(self._lived, *(each.spoke for each in self._arrivals), lived)
                if last == lived:
                    return self._give_up()
                seconds = max(TICK_SECONDS, last + self._limits.health_timeout - self._now)
                lived = last
        finally:
            self._unsent = {}
            self._asked, self._health = self._now, None

    def _give_up(self) -> None:
        for arrival in list(self._arrivals):
            arrival.cut(self._gone())
        self._dead(self._gone())


async def _answers(alive: Alive, seconds: float) -> bool:
    """Whether the server answers anything within so many seconds.

    Twice at most, as a packet may be lost. One that refuses a connection has not lost those that it
    has: it may be about to end, and finishes them.
    """
    asked: list[asyncio.Future[Any]] = [asyncio.ensure_future(alive())]
    turns = max(2, round(seconds / TICK_SECONDS))
    try:
        for turn in range(turns):
            if turn == turns // 2:
                asked.append(asyncio.ensure_future(alive()))
            waiting = [each for each in asked if not each.done()]
            if waiting:
                await asyncio.wait(
                    waiting, timeout=seconds / turns, return_when=asyncio.FIRST_COMPLETED
                )
            else:
                await asyncio.sleep(seconds / turns)
            if any(_answered(each) for each in asked if each.done()):
                return True
        return False
    finally:
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)


def _answered(asked: asyncio.Future[Any]) -> bool:
    error = asked.exception()
    return not (isinstance(error, UpstreamError) and error.cause is Cause.TIMEOUT)
