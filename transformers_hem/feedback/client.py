"""Calls the feedback paths of a HEM server: for `hem feedback`, and for a server that sends on what
it has collected."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import orjson

from predictors.errors import ConfigurationError, UpstreamError
from predictors.upstream.attempt import as_json, attempt
from predictors.upstream.client import Response, build_client
from predictors.upstream.redaction import Redaction
from predictors.upstream.settings import http_url

SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_EXPORT_SECONDS: Final = 3600.0
_OTHERS: Final = (404, 405, 422)  # of a server that keeps none, and of a graph's router
_NOT_ALLOWED: Final = 405  # a path that is there, for other methods
_MOST_BYTES: Final = 2**40  # of an export, which is never whole in memory


class FeedbackClient:
    """`url` is the server's, or its gateway's, which ends in /v1. `key` is struck out of what it
    answers."""

    def __init__(self, url: str, key: str = "", named: str = "--url") -> None:
        """Raises ConfigurationError, which begins with `named`, for what is no URL."""
        try:
            self._url = http_url(url).removesuffix("/v1")
        except ValueError as error:
            raise ConfigurationError(f"{named} {error}") from None
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._redaction = Redaction([key] if key else [])
        self._client = build_client(SECONDS, connect=_CONNECT_SECONDS, headers=headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *why: object) -> None:
        await self._client.aclose()

    async def send(self, said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Raises UpstreamError, as all of these do."""
        return await self._json("POST", "/feedback", content=orjson.dumps(said))

    async def push(self, body: bytes) -> dict[str, Any]:
        """Records, as `pushed_body` writes them."""
        return await self._json("POST", "/feedback/records", content=body)

    async def status(self) -> dict[str, Any]:
        return await self._json("GET", "/feedback")

    async def is_there(self) -> bool:
        """Whether the server keeps feedback: only then it has this path, which is asked by OPTIONS,
        as that needs no admin's token, counts nothing, and leaves the store alone."""
        try:
            await self._json("OPTIONS", "/feedback/export")
        except UpstreamError as error:
            return error.answered == _NOT_ALLOWED
        return False

    async def delete(self, what: Mapping[str, Any]) -> dict[str, int]:
        told = await self._json("DELETE", "/feedback", _EXPORT_SECONDS, params=dict(what))
        return dict(told["deleted"])

    async def export(
        self, sink: Callable[[bytes], Any], since: float | None, *, both: bool
    ) -> None:
        """Whole lines, some at a time."""

        async def read(response: Response, began: float) -> None:
            async for chunk in response.aiter_bytes():
                sink(chunk)

        asked: dict[str, Any] = {} if since is None else {"since": since}
        asked |= {"both": "1"} if both else {}
        request = self._client.build_request("GET", f"{self._url}/feedback/export", params=asked)
        await attempt(
            self._client,
            request,
            read,
            seconds=_EXPORT_SECONDS,
            limit=_MOST_BYTES,
            redaction=self._redaction,
        )

    async def _json(
        self, method: str, path: str, seconds: float = SECONDS, **given: Any
    ) -> dict[str, Any]:
        request = self._client.build_request(method, f"{self._url}{path}", **given)
        try:
            return await attempt(
                self._client, request, as_json(dict), seconds=seconds, redaction=self._redaction
            )
        except UpstreamError as error:
            if error.answered not in _OTHERS:
                raise
            raise UpstreamError(
                f"{error}; feedback is kept by a HEM server with HEM_FEEDBACK_STORE, which its "
                "gateway's URL names, too, and a graph's doesn't",
                error.cause,
                status=error.status,
                retryable=error.retryable,
                down=error.down,
                answered=error.answered,
            ) from None
