"""One server under load: POSTs over connections that are kept, each with its times and its bytes.

For who measures a server, and must cost less than it: a call takes a tenth of the processor time
of upstream.client's. Nothing is tried again, no redirect is followed and no proxy is used, so that
what is measured is the server. HTTP/1.1 alone, by httptools (the parser of uvicorn).
"""

import asyncio
import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, cast

import httptools
import httpx

from predictors.errors import Cause
from predictors.upstream.attempt import DEFAULT_MAX_ANSWER_BYTES
from predictors.upstream.client import shown, tls_context

CONNECT_SECONDS: Final = 5.0
# A connection that rested longer may be closed by the server at any time: uvicorn keeps it for 5 s.
IDLE_SECONDS: Final = 4.0


@dataclass(slots=True)
class Exchange:
    """One POST. Times are those of perf_counter; `sent` when its bytes left, `end` when the last
    byte of the answer came, or it failed. `parts` are the body's, each with when it came.

    `failure` says why there is no whole answer; then `status` may be 0. Bytes count heads and
    bodies, and not what TLS adds.
    """

    sent: float = 0.0
    end: float = 0.0
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    parts: list[tuple[float, bytes]] = field(default_factory=list)
    sent_bytes: int = 0
    received_bytes: int = 0
    failure: Cause | None = None
    detail: str = ""

    @property
    def body(self) -> bytes:
        if len(self.parts) == 1:
            return self.parts[0][1]
        return b"".join(part for _, part in self.parts)


class TimedServer:
    """POSTs JSON to `url`, whose path and parameters are part of it. `headers` go with each call.

    Opens as many connections as there are calls at once. Raises ConfigurationError where the
    URL's certificates can't be read.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, *, seconds: float = 120.0
    ) -> None:
        parsed = httpx.URL(url)
        self.url = shown(parsed)
        self._seconds = seconds
        self._host, tls = parsed.host, parsed.scheme == "https"
        self._port = parsed.port or (443 if tls else 80)
        self._context: ssl.SSLContext | None = tls_context() if tls else None
        self._addresses: list[str] = []
        self._head = _head(parsed, headers or {})
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def post(self, body: bytes) -> Exchange:
        """Never raises for what the server does: see Exchange.failure."""
        connection = self._kept()
        if connection is None:
            try:
                connection = await self._connected()
            except (OSError, ssl.SSLError) as error:
                return _not_connected(error)
            self._open.add(connection)
        try:
            exchange, keep = await connection.exchange(self._head, body, self._seconds)
        except BaseException:
            connection.close()
            self._open.discard(connection)
            raise
        if keep:
            self._idle.append(connection)
        else:
            connection.close()
            self._open.discard(connection)
        return exchange

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._idle.clear()

    def _kept(self) -> "_Connection | None":
        """The one that was used last: the others may rest until they are too old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.close()
            self._open.discard(connection)
        return None

    async def _connected(self) -> "_Connection":
        """Names are looked up once. Raises OSError."""
        loop = asyncio.get_running_loop()
        if not self._addresses:
            found = await loop.getaddrinfo(self._host, self._port, type=1)
            self._addresses = [str(address[0]) for *_, address in found]
        failed: OSError = OSError("no address")
        for address in list(self._addresses):
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, connection = await loop.create_connection(
                        _Connection,
                        address,
                        self._port,
                        ssl=self._context,
                        server_hostname=self._host if self._context else None,
                    )
            except OSError as error:
                failed = error
            else:
                self._addresses = [address]
                return connection
        raise failed


class _Connection(asyncio.Protocol):
    """One exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[bool] | None = None
        self._given = Exchange()
        self._closed = False
        self._used = 0.0

    async def exchange(self, head: bytes, body: bytes, seconds: float) -> tuple[Exchange, bool]:
        """And whether the connection serves for another one."""
        loop = asyncio.get_running_loop()
        given = self._given = Exchange()
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0
        self._waiter = loop.create_future()
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        given.sent_bytes = len(request)
        given.sent = perf_counter()
        self._transport.write(request)
        late = loop.call_later(seconds, self._fail, Cause.TIMEOUT, "did not answer in time")
        try:
            keep = await self._waiter
        finally:
            late.cancel()
            self._waiter = None
        self._used = given.end
        return given, keep

    def usable(self) -> bool:
        return not self._closed and perf_counter() - self._used < IDLE_SECONDS

    def close(self) -> None:
        self._closed = True
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        begun = "broke off its answer" if self._given.received_bytes else "closed the connection"
        self._fail(Cause.UNREACHABLE, begun)

    def data_received(self, data: bytes) -> None:
        given = self._given
        given.end = perf_counter()
        given.received_bytes += len(data)
        if self._waiter is None:
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Cause.UNUSABLE, f"did not answer with HTTP: {error}")

    def eof_received(self) -> None:
        """A body without a length ends so; the parser then says that the answer is whole."""
        if self._waiter is not None and self._given.status:
            self._given.end = perf_counter()
            if b"content-length" not in self._given.headers and not self._chunked():
                self._finish(False)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._given.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._given.status = self._parser.get_status_code()

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > DEFAULT_MAX_ANSWER_BYTES:
            self._fail(Cause.TOO_LARGE, f"answered more than {DEFAULT_MAX_ANSWER_BYTES} bytes")
        else:
            self._given.parts.append((self._given.end, part))

    def on_message_complete(self) -> None:
        if self._given.status >= 200:  # 100 and 103 come before the answer
            self._finish(self._parser.should_keep_alive())

    def _chunked(self) -> bool:
        return b"chunked" in self._given.headers.get(b"transfer-encoding", b"").lower()

    def _finish(self, keep: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(keep)

    def _fail(self, cause: Cause, detail: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._given.end = perf_counter()
            self._given.failure, self._given.detail = cause, detail
            self._waiter.set_result(False)


def _not_connected(error: OSError) -> Exchange:
    now = perf_counter()
    cause, reason = Cause.UNREACHABLE, os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, TimeoutError):
        cause, reason = Cause.TIMEOUT, f"no connection in {CONNECT_SECONDS:g} s"
    elif isinstance(error, ssl.SSLCertVerificationError):
        cause, reason = Cause.CERTIFICATE, error.verify_message
    return Exchange(now, now, failure=cause, detail=f"can't be reached: {reason}")


def _head(url: httpx.URL, headers: Mapping[str, str]) -> bytes:
    """All of a request's head up to its length."""
    named = {"host": url.netloc.decode(), "content-type": "application/json", **headers}
    if url.userinfo:
        user = f"{url.username}:{url.password}".encode()
        named.setdefault("authorization", f"Basic {base64.b64encode(user).decode()}")
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return b"POST %b HTTP/1.1\r\n%bcontent-length: " % (url.raw_path, lines.encode())
