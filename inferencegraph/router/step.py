"""One call of a step: POST to its serviceUrl, the whole answer back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import aiohttp
import httpx

from predictors.errors import ConfigurationError, HEMError
from predictors.upstream.client import upstream_failure

Headers = Sequence[tuple[str, str]]

_DEFAULTS: Final = httpx.Headers(
    {"content-type": "application/json", "accept-encoding": "identity"}
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes

    @property
    def success(self) -> bool:
        return 200 <= self.status <= 299


class GraphFailure(HEMError):
    """Ends the whole graph; a failed step whose answer did arrive is a Reply instead."""

    status: ClassVar[int] = 500


class NoRouteMatched(GraphFailure):
    """A Switch found none. As the root's failure it is 404, from an inner node 500."""

    status = 404


class Upstream:
    """A step's service. `limit` bounds one call, in seconds; None leaves it unbounded."""

    def __init__(self, client: httpx.AsyncClient, url: str, limit: int | None) -> None:
        self._client = client
        self._limit = limit or None
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"serviceUrl {url!r}: {error}") from None

    async def __call__(self, body: bytes, headers: Headers) -> Reply:
        """Raises GraphFailure where no whole answer arrives, whatever the reason."""
        request = httpx.Request("POST", self._url, headers=_with_defaults(headers), content=body)
        try:
            async with asyncio.timeout(self._limit):
                response = await self._client.send(request, follow_redirects=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise GraphFailure(str(upstream_failure(error, str(self._url)))) from error
        except (aiohttp.ClientError, OSError) as error:  # what the transport doesn't translate
            raise GraphFailure(f"{self._url}: {error or type(error).__name__}") from error
        return Reply(response.status_code, response.content)


def _with_defaults(headers: Headers) -> httpx.Headers | list[tuple[str, str]]:
    if not headers:
        return _DEFAULTS
    given = {name.lower() for name, _ in headers}
    return [*headers, *(item for item in _DEFAULTS.items() if item[0] not in given)]
