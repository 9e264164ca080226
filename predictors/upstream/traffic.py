"""Bytes to and from each server that is called, heads included: what the link between both carries,
apart from TLS and TCP."""

from contextvars import ContextVar
from dataclasses import dataclass

import httpx
from prometheus_client import Counter

BYTES = Counter(
    "hem_upstream_bytes_total",
    "Bytes of requests (sent) and of answers (received), heads included.",
    ["upstream", "direction"],
)
_LINE = len(" HTTP/1.1\r\n") + 1  # a request's first line, beside its method and target
_FIELD = len(": \r\n")


@dataclass(slots=True)
class Link:
    """The same bytes, of the calls for one answer."""

    sent: int = 0
    received: int = 0


LINK: ContextVar[Link | None] = ContextVar("link", default=None)


class Traffic:
    """With one server, whose calls run with upstream.arrival's RECEIVED set to a `receiver`."""

    def __init__(self, upstream: str) -> None:
        self._sent = BYTES.labels(upstream, "sent")
        self._received = BYTES.labels(upstream, "received")

    def sent(self, request: httpx.Request, content: bytes | None) -> None:
        head = len(request.method) + len(request.url.raw_path) + _LINE
        head += sum(len(name) + len(value) + _FIELD for name, value in request.headers.raw) + 2
        self._sent.inc(head + len(content or b""))
        if (link := LINK.get()) is not None:
            link.sent += head + len(content or b"")

    def receiver(self) -> "Received":
        """Of the call that runs. A connection that another call has opened tells of its bytes where
        that one ran, so the link is looked up here."""
        return Received(self._received, LINK.get())

    def message(self, sent: int, received: int) -> None:
        """Of a gRPC call: the bytes of both messages."""
        self._sent.inc(sent)
        self._received.inc(received)


@dataclass(slots=True)
class Received:
    """Bytes that come for one call. They are told at its end, as an answer may come in thousands of
    pieces; what comes behind that at once."""

    total: Counter
    link: Link | None
    count: int = 0
    ended: bool = False

    def __call__(self, size: int) -> None:
        self.count += size
        if self.ended:
            self._tell(size)

    def end(self) -> int:
        """How many came."""
        self.ended = True
        self._tell(self.count)
        return self.count

    def _tell(self, size: int) -> None:
        self.total.inc(size)
        if self.link is not None:
            self.link.received += size
