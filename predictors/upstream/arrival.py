"""What has arrived of one answer: told by who reads it, looked at by who waits for it (watch.py).

Light, as upstream.attempt imports it.
"""

import math
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass

import httpx

EVENTS = "text/event-stream"


@dataclass(slots=True, eq=False)
class Arrival:
    """One attempt, from when it began until its answer was read. Times are those of `clock`.

    An item is what a server sends in one go: a head, a line of an event stream, any other body.
    One that has begun must go on; `credit` is how many seconds it may still take, had nothing come
    since `heard`. Blank lines and comments of event streams are no items: servers send them to say
    that they are at work (DeepSeek's empty lines, OpenRouter's comments).
    """

    clock: Callable[[], float]
    rate: float  # bytes a second that an item has to come at; 0: at any
    grace: float  # seconds of credit at most
    streams: bool = False
    began: float = 0.0
    heard: float = 0.0
    spoke: float = -math.inf  # when the server last sent anything
    first: float | None = None
    longest_gap: float = 0.0
    credit: float | None = None
    unsent: Callable[[], int] = lambda: 0  # bytes of the request that the server has not taken
    headed: bool = False
    lines: bool = False

    def __post_init__(self) -> None:
        self.began = self.heard = self.clock()

    def head(self, data: bytes) -> None:
        """Of the answer, as long as it is not `answered`."""
        if not self.headed:
            self._goes_on(self._spoken(), len(data))

    def answered(self, content_type: str) -> None:
        """The head is there."""
        self.headed, self.credit = True, None
        self._spoken()
        self.lines = content_type.strip().lower().startswith(EVENTS)

    def chunk(self, chunk: bytes) -> None:
        """Of the body."""
        gap = self._spoken()
        if self.credit is None and self._says_nothing(chunk):
            return
        self._begun(gap)
        if self.lines and chunk.endswith((b"\n", b"\r")):
            self.credit = None
        else:
            self._goes_on(gap, len(chunk))

    def item(self) -> None:
        """A whole one, where a transport gives no bytes."""
        self._begun(self._spoken())

    def ended(self) -> None:
        """All of it is here: what is done with it takes its own time."""
        self.heard, self.credit = math.inf, None

    @property
    def drips(self) -> bool:
        return self.credit is not None and self.clock() - self.heard > self.credit

    def _spoken(self) -> float:
        """The server sent something. Seconds since it did so before, or since the attempt began."""
        before, self.heard = self.heard, self.clock()
        self.spoke = self.heard
        return self.heard - before

    def _begun(self, gap: float) -> None:
        if self.first is None:
            self.first = self.heard
        else:
            self.longest_gap = max(self.longest_gap, gap)

    def _goes_on(self, gap: float, size: int) -> None:
        if self.rate:
            left = self.grace if self.credit is None else self.credit - gap
            self.credit = min(self.grace, left + size / self.rate)

    def _says_nothing(self, chunk: bytes) -> bool:
        return not chunk.strip() or (self.lines and chunk.startswith(b":"))


# Of the attempt that runs; None for one that nobody watches.
ARRIVAL: ContextVar[Arrival | None] = ContextVar("arrival", default=None)
# Who counts the bytes that come for the call that runs; None where nobody does.
RECEIVED: ContextVar[Callable[[int], None] | None] = ContextVar("received", default=None)


@dataclass(slots=True)
class WatchedBody(httpx.AsyncByteStream):
    """A body as it comes from the network, told to an Arrival."""

    body: httpx.AsyncByteStream
    arrival: Arrival

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.body:
            self.arrival.chunk(chunk)
            yield chunk
        self.arrival.ended()

    async def aclose(self) -> None:
        await self.body.aclose()
