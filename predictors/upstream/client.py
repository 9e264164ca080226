"""The one place where HTTP clients are built.

httpx over aiohttp's transport: httpx's own loses nine tenths of its rate at 32 concurrent calls.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import aiohttp
import httpx
from httpx import URL, Headers, InvalidURL, Request, Response
from httpx_aiohttp import AiohttpTransport

from predictors.errors import Cause, ConfigurationError, UpstreamError
from predictors.passed_on import FORWARDED, PASSED_ON, forwarded_headers
from predictors.thin_streams import thin_socket
from predictors.upstream.connector import PatientConnector
from predictors.upstream.proxies import as_proxy, environment, environment_proxy

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
