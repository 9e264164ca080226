"""The one place where HTTP clients are built, and where a failed connection gets its cause.

httpx over aiohttp's transport: httpx's own loses nine tenths of its rate at 32 concurrent calls.
"""

import asyncio
import fcntl
import functools
import logging
import os
import socket
import ssl
import sys
import termios
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from httpx import URL, Headers, InvalidURL, Request, Response
from httpx_aiohttp import AiohttpTransport

from predictors.errors import Cause, ConfigurationError, UpstreamError
from predictors.passed_on import FORWARDED, PASSED_ON, forwarded_headers
from predictors.thin_streams import thin_socket
from predictors.upstream.arrival import ARRIVAL, RECEIVED, Arrival
from predictors.upstream.proxies import as_proxy, environment, environment_proxy
from predictors.upstream.redaction import NOTHING_SECRET, Redaction

# The types of httpx that other rooms name; they do not import it themselves.
Client: TypeAlias = httpx.AsyncClient
__all__ = [
    "FORWARDED",
    "PASSED_ON",
    "URL",
    "Client",
    "Headers",
    "InvalidURL",
    "Request",
    "Response",
    "forwarded_headers",
]

logging.getLogger("httpx").setLevel(logging.WARNING)  # below, it logs whole URLs

# KServe servers close an idle connection after 65 s; the client must let go first.
KEEPALIVE_EXPIRY_SECONDS = 30.0


def on_the_wire(headers: Mapping[str, str]) -> dict[str, Any]:
    """The bytes that came, whatever they are: httpx itself takes no text beyond ASCII. An HTTP
    server reads them as Latin-1, gRPC as UTF-8."""
    return {name: value.encode(_charset(value)) for name, value in headers.items()}


def _charset(value: str) -> str:
    return "utf-8" if any(character > "\xff" for character in value) else "latin-1"


def build_client(
    timeout: float | None,
    *,
    connect: float | None = None,
    verify: ssl.SSLContext | str = "",
    proxy: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Client:
    """A pooled client; `headers` go with each call.

    `timeout` bounds each wait for the server, `connect` the wait for a connection (as `timeout`
    where it is None), both in seconds; None waits for ever.

    It opens as many connections as there are concurrent calls, keeps no cookies (one client
    serves many callers) and follows no redirects. `verify` is a TLS context or a CA bundle's path,
    well-known authorities if empty; `proxy` is http://[user:password@]host:port for all calls, and
    where it is None the environment names one for those that upstream.proxies says. Close it with
    `aclose()`.

    Raises ConfigurationError for a bundle or a proxy that is not valid.
    """
    context = tls_context(verify) if verify and isinstance(verify, str) else verify or True

    def session() -> aiohttp.ClientSession:
        connector = PatientConnector(
            limit=0,
            keepalive_timeout=KEEPALIVE_EXPIRY_SECONDS,
            ssl=context,
            socket_factory=thin_socket,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    def through(proxy: httpx.Proxy | None) -> httpx.AsyncBaseTransport:
        # The transport's own context is never used, the session brings one: verify=False only keeps
        # it from loading a bundle of certificates, which takes tens of milliseconds.
        return HeaderTransport(client=session, verify=False, proxy=proxy)

    named = as_proxy(proxy, "--proxy") if proxy else None
    proxies = {} if named else environment()
    transport = EnvironmentTransport(proxies, through) if proxies else through(named)
    # gzip is the one coding that upstream.attempt unpacks within its bound.
    sent = {"accept-encoding": "gzip", **(headers or {})}
    return _DirectClient(
        transport,
        timeout=httpx.Timeout(timeout, connect=connect or timeout),
        headers=sent,
    )


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: Response) -> None:
        """Those of a balancer would tie all callers to one replica."""


class _DirectClient(Client):
    """Without what hardly a call of ours needs: redirects, hooks, cookies."""

    _none = _NoCookies()

    def __init__(self, transport: httpx.AsyncBaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._direct = transport

    @property  # type: ignore[misc] # nobody sets them
    def cookies(self) -> httpx.Cookies:
        return self._none

    async def send(self, request: Request, *, stream: bool = False, **options: Any) -> Response:
        # httpx makes a header of the user in a URL, and an error of a client that is closed.
        if request.url.userinfo or self.is_closed or options.get("follow_redirects") is True:
            return await super().send(request, stream=stream, **options)
        response = await self._direct.handle_async_request(request)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response


def shown(url: URL) -> str:
    """For errors: without user, password and parameters, which may be keys."""
    if url.userinfo or url.query or url.fragment:
        url = url.copy_with(userinfo=b"", query=None, fragment=None)
    return str(url)


def option_of(name: str) -> str:
    return f"--{name}"


def tls_context(
    ca_bundle: str = "", cert: str = "", key: str = "", named: Callable[[str], str] = option_of
) -> ssl.SSLContext:
    """`ca_bundle` verifies servers, well-known authorities where it is empty; `cert` and `key` are
    files to show to them. Raises ConfigurationError that names the option of a wrong file, as
    `named` calls it."""
    try:
        context = ssl.create_default_context(cafile=ca_bundle or None)
    except OSError as error:
        raise ConfigurationError(f"{named('ca_bundle')} {ca_bundle!r}: {error}") from None
    files = f"{named('client_cert')} {cert!r}, {named('client_key')} {key!r}"
    if bool(cert) != bool(key):
        raise ConfigurationError(f"{files}: these belong together; give both")
    try:
        if cert:
            context.load_cert_chain(cert, key)
    except OSError as error:
        raise ConfigurationError(f"{files}: {error}") from None
    return context


class HeaderTransport(AiohttpTransport):
    """httpx makes a header of the user in a URL; aiohttp refuses to have both."""

    async def handle_async_request(self, request: Request) -> Response:
        if request.url.userinfo:
            request.url = request.url.copy_with(userinfo=b"")
        return await super().handle_async_request(request)


class EnvironmentTransport(httpx.AsyncBaseTransport):
    """Calls each host as `proxies` of the environment say; `through` makes the transports."""

    def __init__(
        self,
        proxies: Mapping[str, str],
        through: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport],
    ) -> None:
        self._proxies = proxies
        self._through = through
        self._direct = through(None)
        self._by_proxy: dict[str, httpx.AsyncBaseTransport] = {}
        self._by_host: dict[tuple[str, str, int | None], httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: Request) -> Response:
        key = (request.url.scheme, request.url.host, request.url.port)
        if key not in self._by_host:
            self._by_host[key] = self._chosen(request.url)
        return await self._by_host[key].handle_async_request(request)

    def _chosen(self, url: URL) -> httpx.AsyncBaseTransport:
        try:
            proxy = environment_proxy(url, self._proxies)
        except ConfigurationError as error:
            raise UpstreamError(str(error), Cause.UNREACHABLE, retryable=False) from None
        if proxy is None:
            return self._direct
        return self._by_proxy.setdefault(f"{proxy.url} {proxy.auth}", self._through(proxy))

    async def aclose(self) -> None:
        for transport in (self._direct, *self._by_proxy.values()):
            await transport.aclose()


ConnectionFailed: TypeAlias = httpx.HTTPError | aiohttp.ClientError | OSError
CONNECTION_ERRORS: Final = (httpx.HTTPError, aiohttp.ClientError, OSError)  # TimeoutError is one


def connection_failure(
    error: ConnectionFailed, url: str, redaction: Redaction = NOTHING_SECRET
) -> UpstreamError:
    """What a call that got no whole answer means to our own caller, naming the URL.

    The transport calls a refused and a dropped connection `ConnectTimeout`, and lets some of
    aiohttp's errors through; aiohttp's own error tells them apart.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    failure = _failure(error, cause, url, redaction)
    failure.unsent = isinstance(cause, _UNSENT)
    return failure


_UNSENT: Final = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
)


def _failure(
    error: ConnectionFailed, cause: BaseException | None, url: str, redaction: Redaction
) -> UpstreamError:
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        reason = getattr(cause.certificate_error, "verify_message", cause.certificate_error)
        return UpstreamError(
            f"the certificate of {url} does not verify: {reason}", Cause.CERTIFICATE
        )
    if isinstance(cause, aiohttp.ClientConnectorError):
        proxy = "the proxy to " * isinstance(cause, aiohttp.ClientProxyConnectionError)
        return UpstreamError(
            f"{proxy}{url} can't be reached: {_reason(cause.os_error)}",
            Cause.UNREACHABLE,
            retryable=not isinstance(cause, aiohttp.ClientSSLError),
        )
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return UpstreamError(
            f"{url} can't be reached: no connection in time", Cause.TIMEOUT, retryable=True
        )
    if isinstance(cause, TimeoutError) or isinstance(error, TimeoutError):
        return UpstreamError(f"{url} did not answer in time", Cause.TIMEOUT)
    if isinstance(cause, aiohttp.ClientConnectionError):
        return UpstreamError(f"{url} closed the connection before it answered", Cause.UNREACHABLE)
    reason = redaction.reason(str(error)) or type(error).__name__
    if isinstance(cause, aiohttp.ClientHttpProxyError):  # as text it holds the proxy's URL
        return UpstreamError(f"the proxy to {url} refused the call: {cause.status} {cause.message}")
    if isinstance(cause, aiohttp.ClientResponseError):
        return UpstreamError(f"{url} did not answer with HTTP: {reason}")
    return UpstreamError(
        f"{url} broke off its answer: {reason}", Cause.UNREACHABLE, status=502, retryable=False
    )


def _reason(error: OSError) -> str:
    """asyncio says which address it called; the rest of us want to know what happened."""
    if (
        error.errno is not None
        and error.errno > 0
        and not isinstance(error, socket.gaierror | ssl.SSLError)
    ):
        return os.strerror(error.errno)
    return error.strerror or str(error)


class ToldHandler(ResponseHandler):
    """A connection that tells the watch of the call that it serves what comes, from the first byte
    on: a head may drip, too. What comes is also counted."""

    arrival: Arrival | None = None
    received: Callable[[int], None] | None = None

    def data_received(self, data: bytes) -> None:
        if data:  # else aiohttp goes on with what it has, behind each read
            if self.received is not None:
                self.received(len(data))
            if self.arrival is not None and not self.arrival.headed:
                self.arrival.head(data)
        super().data_received(data)
        # aiohttp tells who waits for a head; who reads a body would wait for ever.
        error = self.exception()
        if isinstance(error, aiohttp.http_exceptions.HttpProcessingError) and self._payload:
            self._payload.set_exception(aiohttp.ClientPayloadError(f"not HTTP: {error.message}"))


def unsent(transport: asyncio.Transport | None) -> int:
    """Bytes that wait here, and in the kernel, for the other side to take them."""
    if transport is None or transport.is_closing():
        return 0
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)


# To connect takes a handful of turns of the loop; it has at least these many.
TURNS: Final = 20


class PatientConnector(aiohttp.TCPConnector):
    """A connector whose `sock_connect` timeout passes only while the event loop turns.

    A burst of requests can keep the loop busy for seconds. Its timers then end, all at once,
    connections that the kernel has long made, and a circuit breaker opens to a server that is
    well. Its connections tell the watch of a call what comes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = functools.partial(ToldHandler, loop=self._loop)  # type: ignore[assignment]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, ToldHandler):
            arrival = connection.protocol.arrival = ARRIVAL.get()
            connection.protocol.received = RECEIVED.get()
            if arrival is not None:
                arrival.unsent = functools.partial(unsent, connection.transport)
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        seconds = timeout.sock_connect
        if seconds is None:
            return await super()._create_connection(req, traces, timeout)
        opening = asyncio.ensure_future(
            super()._create_connection(req, traces, aiohttp.ClientTimeout())
        )
        try:
            for _ in range(TURNS):
                done, _ = await asyncio.wait([opening], timeout=seconds / TURNS)
                if done:
                    return opening.result()
            raise aiohttp.ConnectionTimeoutError(f"no connection to {req.url} in {seconds:g} s")
        finally:
            if not opening.done():
                opening.cancel()
                await asyncio.wait([opening])
                if not opening.cancelled() and opening.exception() is None:
                    opening.result().close()
