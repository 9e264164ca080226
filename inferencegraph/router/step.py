"""One call of a step: POST to its serviceUrl, the whole answer back, or its events as they come."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from predictors.contract import FAILURE_HEADER
from predictors.errors import ConfigurationError, HEMError, UpstreamError
from predictors.upstream.arrival import EVENTS
from predictors.upstream.attempt import attempt, bound_body, reading, unread, watch_body
from predictors.upstream.client import (
    URL,
    Client,
    Headers as HTTPHeaders,
    InvalidURL,
    Request,
    Response,
    shown,
)
from predictors.upstream.connection_failures import CONNECTION_ERRORS, connection_failure
from predictors.upstream.redaction import shown_url
from predictors.upstream.settings import Limits
from predictors.upstream.spans import answered, attempt_span, carry
from predictors.upstream.watch import Watch

T = TypeVar("T")
Headers = Sequence[tuple[str, str]]

# Of a request, and of a step's answer. KServe's router reads any length; a service without an end
# would fill the memory. A service of ours takes 8 MiB; one with images may take more.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
# Asked of a service whose answer is overdue; any answer will do, and 404 is one.
HEALTH_PATH: Final = b"/v2/health/live"

_DEFAULTS: Final = HTTPHeaders({"content-type": "application/json", "accept-encoding": "identity"})


@dataclass(frozen=True, slots=True)
class Reply:
    """`failure` is what an upstream of ours says of another server that it called (FAILURE_HEADER);
    it stays with the answer of a later step that stood in. Where there are `events`, `body` is
    empty."""

    status: int
    body: bytes
    failure: str = ""
    events: "EventStream | None" = None

    @property
    def success(self) -> bool:
        return 200 <= self.status <= 299


class GraphFailure(HEMError):
    """Ends the whole graph; a failed step whose answer did arrive is a Reply instead."""

    status = 500


class NoRouteMatched(GraphFailure):
    """No condition of a Switch holds. As the root's failure it is 404, from an inner node 500."""

    status = 404


class Lookout:
    """Gives up services that are frozen. While a call is overdue it asks the service for its
    health; there is one watch for each host and port.

    KServe's router does not ask: a frozen service costs each call the whole `serviceClient` time.
    With a `health_timeout` of 0 seconds this one does not ask either.
    """

    def __init__(self, client: Client, health_timeout: float) -> None:
        self._client = client
        self._limits = Limits(health_timeout=health_timeout)
        self._watches: dict[URL, Watch] = {}

    def over(self, url: URL) -> Watch | None:
        if not self._limits.health_timeout:
            return None
        health = url.copy_with(raw_path=HEALTH_PATH)
        if health not in self._watches:

            async def alive() -> None:
                await attempt(self._client, Request("GET", health), unread)

            self._watches[health] = Watch(shown(health), self._limits, alive, lambda _: None)
        return self._watches[health]


class StepService:
    """The service that a step calls, once each time: no queue, no second attempt, no breaker, as
    KServe's router. `limit` bounds one call, in seconds; None leaves it unbounded. The lookout
    gives up a service that is frozen."""

    def __init__(
        self, client: Client, url: str, limit: int | None, lookout: Lookout | None = None
    ) -> None:
        self._client = client
        self._limit = limit or None
        try:
            self._url = URL(url)
        except InvalidURL:
            raise ConfigurationError(f"serviceUrl {shown_url(url)!r} is not a URL") from None
        self.shown = shown(self._url)
        self._watch = lookout.over(self._url) if lookout and self._url.host else None

    async def __call__(self, body: bytes, headers: Headers, last: bool) -> Reply:
        """`last`: nobody needs the body here, so that an event stream may be passed on.

        Raises GraphFailure where no whole answer arrives, whatever the reason.
        """
        request = Request("POST", self._url, headers=_with_defaults(headers), content=body)
        with attempt_span(request) as span:
            carry(request)
            reply = await self.in_time(self._send(request, last))
            answered(span, reply.status)
            return reply

    async def in_time(self, awaited: Awaitable[T]) -> T:
        """What comes of it within the limit. Raises GraphFailure."""
        fault: UpstreamError | None = None
        try:
            async with asyncio.timeout(self._limit) as timeout:
                if self._watch is None:
                    return await awaited
                with self._watch.over(timeout, streams=False) as arrival:
                    try:
                        return await awaited
                    finally:
                        fault = arrival.fault
        except CONNECTION_ERRORS as error:
            cause = fault or connection_failure(error, self.shown)
            raise GraphFailure(str(cause)) from error
        except UpstreamError as error:
            raise GraphFailure(str(error)) from error

    async def _send(self, request: Request, last: bool) -> Reply:
        response = await self._client.send(request, stream=True, follow_redirects=True)
        events = False
        try:
            if last and response.status_code == 200 and _has_events(response):
                bound_body(response, self.shown, sys.maxsize)  # unpacks it, and keeps nothing
                events = True
                return Reply(200, b"", events=EventStream(self, response))
            watch_body(response)
            bound_body(response, self.shown, MAX_BODY_BYTES)
            with reading(self.shown, passing=CONNECTION_ERRORS):
                body = await response.aread()
                status = response.status_code
                failure = response.headers.get(FAILURE_HEADER, "") if status >= 400 else ""
                return Reply(status, body, failure)
        finally:
            if not events:
                await response.aclose()


class EventStream:
    """The body of an answer that is passed on as it comes. Whoever has it closes it."""

    def __init__(self, service: StepService, response: Response) -> None:
        self.content_type: str = response.headers["content-type"]
        self._service = service
        self._response = response
        self._parts = response.aiter_raw()

    async def part(self) -> bytes | None:
        """The next one; None at the end. Raises GraphFailure where the stream breaks off."""
        return await self._service.in_time(self._part())

    async def aclose(self) -> None:
        """Ends the call, unless it is at its end."""
        await self._response.aclose()

    async def _part(self) -> bytes | None:
        with reading(self._service.shown, passing=CONNECTION_ERRORS):
            return await anext(self._parts, None)


def _has_events(response: Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == EVENTS


def _with_defaults(headers: Headers) -> HTTPHeaders:
    if not headers:
        return _DEFAULTS
    given = {name.lower() for name, _ in headers}
    defaults = [(name, value) for name, value in _DEFAULTS.items() if name not in given]
    # As the client sent them: httpx takes no text beyond ASCII.
    raw = [(name.encode(), value.encode("latin-1")) for name, value in [*headers, *defaults]]
    return HTTPHeaders(raw)
