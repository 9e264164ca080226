"""Bounds of one HTTP connection, for uvicorn, which bounds only the time between two requests.

The numbers are those of Apache's mod_reqtimeout (header=20, body=20,MinRate=500) and of nginx's
lingering_close; 100 headers are Apache's LimitRequestFields.
"""

import asyncio
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from predictors.thin_streams import retry_soon

MAX_HEADERS: Final = 100
MAX_HEAD_BYTES: Final = 65_536  # request line and headers; a chunk's own line, and trailers
LINGER_SECONDS: Final = 30.0
LINGER_IDLE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 5.0
MAX_CONNECTIONS: Final = 8192
FRESH_SECONDS: Final = 1.0  # a connection as young as this has a request on its way


@dataclass(frozen=True, slots=True)
class Bounds:
    """`head_seconds`: from the connection, or a request's first byte, to the end of its headers;
    the body then has `body_seconds`, and a second more for each `body_rate` bytes that came.
    `unread_seconds`: for a client that takes no byte of its answer."""

    head_seconds: float = 20.0
    body_seconds: float = 20.0
    body_rate: float = 500.0
    unread_seconds: float = 60.0


class Connections:
    """uvicorn's `http` option: makes the connections of one server, `most` at once (None: three
    quarters of this process's descriptors, at most 8192)."""

    def __init__(self, bounds: Bounds = Bounds(), most: int | None = None) -> None:
        self.bounds = bounds
        self.draining = False
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        available = MAX_CONNECTIONS if descriptors < 0 else descriptors * 3 // 4
        self.most = most or min(available, MAX_CONNECTIONS)

    def __call__(self, **given: Any) -> "BoundedConnection":
        return BoundedConnection(self, **given)

    def drain(self, connections: Iterable["BoundedConnection"]) -> None:
        """From now on each answer closes its connection; `connections` are those that are open."""
        self.draining = True
        for connection in connections:
            if connection.cycle is not None:
                connection.cycle.keep_alive = False

    def make_room(self, connections: Iterable["BoundedConnection"]) -> None:
        """Closes an eighth of those without a whole request, the longest silent first: a burst of
        them would keep everybody else out until they are overdue."""
        waiting = sorted(filter(BoundedConnection.awaits, connections), key=BoundedConnection.age)
        for connection in waiting[-(len(waiting) // 8 + 1) :]:
            connection.transport.close()

    def give_up(self, connections: Iterable["BoundedConnection"]) -> None:
        """Answers 503 to whom waits; `connections` are those that are open."""
        for connection in list(connections):
            connection.give_up()


class BoundedConnection(HttpToolsProtocol):
    """Refuses too many or too long headers (431), slow headers and bodies (408), and lets go of
    clients that send nothing or take nothing.

    One timer a connection looks what it waits for, so a request costs no timer. A connection whose
    request was refused before it was read is closed only when the client has stopped sending: a
    reset would take the answer from a client that has not read it yet.
    """

    def __init__(self, server: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._server = server
        self._bounds = server.bounds
        self._in_head, self._in_body = True, False
        self._since = self.loop.time()  # the connection, the request's first byte, or its body
        self._body_bytes = 0
        self._unparsed = 0  # bytes since the parser last made something of them
        self._refusal: tuple[int, str] | None = None
        self._lingering = False
        self._last_byte = 0.0
        self._paused_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # What arrives

    def connection_made(self, transport: Any) -> None:
        if len(self.connections) >= self._server.most:
            self._server.make_room(cast("set[BoundedConnection]", self.connections))
        super().connection_made(transport)
        if (connection := transport.get_extra_info("socket")) is not None:
            retry_soon(connection)
        self._look_after(self._bounds.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._last_byte = self.loop.time()
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > MAX_HEAD_BYTES:
            self._refuse(
                431, f"headers, or what stands between chunks, exceed {MAX_HEAD_BYTES} bytes"
            )
        elif self.cycle is not None and self.cycle.more_body:
            self.cycle.transport = _LingeringTransport(self)  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._unparsed = 0
        self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            self._refusal = 431, f"the request has more than {MAX_HEADERS} headers"
        elif self._head_bytes() > MAX_HEAD_BYTES:  # that came at once, with its end
            self._refusal = 431, f"headers exceed {MAX_HEAD_BYTES} bytes"
        if self._refusal is not None:
            raise ValueError(self._refusal[1])  # the parser calls send_400_response for it
        super().on_headers_complete()
        self._in_head, self._in_body = False, True
        self._unparsed = self._body_bytes = 0
        self._since = self.loop.time()
        if self._server.draining:
            self.cycle.keep_alive = False

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._unparsed = 0
        self._body_bytes += len(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False

    def pause_writing(self) -> None:
        super().pause_writing()
        self._paused_at = self.loop.time()

    def awaits(self) -> bool:
        """Whether no request is being answered: none has come, or not yet to its end."""
        return self.cycle is None or self.cycle.response_complete or self._in_body

    def age(self) -> float:
        return self.loop.time() - self._since

    # How it ends

    def send_400_response(self, msg: str) -> None:
        """For what is no HTTP, and for refusals from within the parser."""
        self._refuse(*(self._refusal or (400, "this is not a valid HTTP/1.1 request")))

    def on_response_complete(self) -> None:
        if self._lingering:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def shutdown(self) -> None:
        """A request that is arriving is still answered; one of a new connection may be."""
        young = self.loop.time() - self._since < FRESH_SECONDS
        if self._in_head and (self.cycle is not None or young):
            self._look_after(FRESH_SECONDS if self.cycle is None else self._bounds.head_seconds)
        else:
            super().shutdown()

    def give_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._refuse(503, "the server stops, and this call took longer than it may; ask again")
        else:
            self.transport.close()

    def linger(self) -> None:
        """Closes when the client has stopped sending; what it still sends is thrown away."""
        if self._lingering or self.transport.is_closing():
            return
        self._lingering = True
        self._since = self._last_byte = self.loop.time()
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._look_after(LINGER_IDLE_SECONDS)

    def _refuse(self, status: int, message: str) -> None:
        """An error body of the connection's own; where an answer has begun, only the end."""
        cycle = self.cycle
        if self.transport.is_closing() or self._lingering:
            return
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:
                self.transport.close()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = orjson.dumps({"error": message})
        fields = {"content-type": "application/json", "content-length": f"{len(body)}"}
        fields["connection"] = "close"
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        self.transport.write(STATUS_LINE[status] + "".join(lines).encode() + b"\r\n" + body)
        if status == HTTPStatus.SERVICE_UNAVAILABLE and not self._in_body:
            self.transport.close()
        else:
            self.linger()

    # What it waits for

    def _look_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._seconds_left()
        if left > 0:
            self._look_after(min(left, LOOK_SECONDS))
        elif self._lingering or self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self._in_head and self.headers is None:
            self.transport.close()  # nothing of a request came
        elif self._in_head or self._in_body:
            what = "headers" if self._in_head else "body"
            self._refuse(408, f"the request's {what} came too slowly")
            self._look_after(LOOK_SECONDS)
        else:
            self.transport.close()

    def _seconds_left(self) -> float:
        """Until what the connection waits for is overdue."""
        bounds, age = self._bounds, self.loop.time() - self._since
        if self._lingering:
            idle = self.loop.time() - self._last_byte
            return min(LINGER_SECONDS - age, LINGER_IDLE_SECONDS - idle)
        if self.flow.write_paused:
            return bounds.unread_seconds - (self.loop.time() - self._paused_at)
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            return bounds.head_seconds - age
        if self._in_body:
            paused = self.flow.read_paused  # by us: the client isn't to blame
            return LOOK_SECONDS if paused else self._body_seconds() - age
        # Between requests uvicorn has a timer, unless a stray line feed has ended it.
        idle = self.cycle.response_complete and self.timeout_keep_alive_task is None
        return 0 if idle else LOOK_SECONDS

    def _body_seconds(self) -> float:
        return self._bounds.body_seconds + self._body_bytes / self._bounds.body_rate


class _LingeringTransport:
    """What a cycle writes to while its request is not read to its end."""

    def __init__(self, connection: BoundedConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        connection = self._connection
        if connection._in_body:
            connection.linger()
        else:
            connection.transport.close()
