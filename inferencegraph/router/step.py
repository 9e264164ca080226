"""One call of a step: POST to its serviceUrl, the whole answer back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from predictors.contract import FAILURE_HEADER
from predictors.errors import ConfigurationError, HEMError, UpstreamError
from predictors.upstream.attempt import bound_body, reading
from predictors.upstream.client import (
    CONNECTION_ERRORS,
    URL,
    Client,
    Headers as HTTPHeaders,
    InvalidURL,
    Request,
    connection_failure,
    shown,
)
from predictors.upstream.redaction import shown_url

Headers = Sequence[tuple[str, str]]

# KServe's router reads any length; this keeps a service without an end from filling the memory.
MAX_BODY_BYTES: Final = 1024**3

_DEFAULTS: Final = HTTPHeaders({"content-type": "application/json", "accept-encoding": "identity"})


@dataclass(frozen=True, slots=True)
class Reply:
    """`failure` is what an upstream of ours says of another server that it called (FAILURE_HEADER);
    it stays with the answer of a later step that stood in."""

    status: int
    body: bytes
    failure: str = ""

    @property
    def success(self) -> bool:
        return 200 <= self.status <= 299


class GraphFailure(HEMError):
    """Ends the whole graph; a failed step whose answer did arrive is a Reply instead."""

    status = 500


class NoRouteMatched(GraphFailure):
    """No condition of a Switch holds. As the root's failure it is 404, from an inner node 500."""

    status = 404


class StepService:
    """The service that a step calls, once each time: no queue, no second attempt, no breaker, as
    KServe's router. `limit` bounds one call, in seconds; None leaves it unbounded."""

    def __init__(self, client: Client, url: str, limit: int | None) -> None:
        self._client = client
        self._limit = limit or None
        try:
            self._url = URL(url)
        except InvalidURL:
            raise ConfigurationError(f"serviceUrl {shown_url(url)!r} is not a URL") from None
        self._shown = shown(self._url)

    async def __call__(self, body: bytes, headers: Headers) -> Reply:
        """Raises GraphFailure where no whole answer arrives, whatever the reason."""
        request = Request("POST", self._url, headers=_with_defaults(headers), content=body)
        try:
            async with asyncio.timeout(self._limit):
                return await self._send(request)
        except CONNECTION_ERRORS as error:
            raise GraphFailure(str(connection_failure(error, self._shown))) from error
        except UpstreamError as error:
            raise GraphFailure(str(error)) from error

    async def _send(self, request: Request) -> Reply:
        response = await self._client.send(request, stream=True, follow_redirects=True)
        try:
            bound_body(response, self._shown, MAX_BODY_BYTES)
            with reading(self._shown, passing=CONNECTION_ERRORS):
                body = await response.aread()
                status = response.status_code
                failure = response.headers.get(FAILURE_HEADER, "") if status >= 400 else ""
                return Reply(status, body, failure)
        finally:
            await response.aclose()


def _with_defaults(headers: Headers) -> HTTPHeaders:
    if not headers:
        return _DEFAULTS
    given = {name.lower() for name, _ in headers}
    defaults = [(name, value) for name, value in _DEFAULTS.items() if name not in given]
    # As the client sent them: httpx takes no text beyond ASCII.
    raw = [(name.encode(), value.encode("latin-1")) for name, value in [*headers, *defaults]]
    return HTTPHeaders(raw)
