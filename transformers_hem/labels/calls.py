"""JSON calls to predictors and judges, tried again where that can help."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson
from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from predictors.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from predictors.upstream.client import build_client, upstream_failure

# What may be over a moment later; anything else would fail again, or be paid for twice.
RETRIED: Final = frozenset({429, 502, 503, 504})
# Says that the server, not this one question, is at fault.
_HOPELESS: Final = frozenset({401, 403, 404, 405, 501}) | RETRIED
_CONNECT_SECONDS: Final = 5.0
_SHOWN_BODY: Final = 300


class Refused(UpstreamError):
    """The server answered with an error status, `answered`."""

    def __init__(self, url: str, answered: int, reason: str) -> None:
        super().__init__(f"{url} answered {answered}: {reason}")
        self.answered = answered


def is_systemic(error: Exception) -> bool:
    """True where the next question would fail in the same way."""
    if isinstance(error, Refused):
        return error.answered in _HOPELESS
    return isinstance(error, UpstreamError)


class Caller:
    """Posts JSON. `timeout` is seconds of one attempt; a timeout is not tried again."""

    def __init__(self, timeout: float, attempts: int, longest_wait: float = 8.0) -> None:
        self._timeout = timeout
        self._client = build_client(httpx.Timeout(timeout, connect=_CONNECT_SECONDS))
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.5, max=longest_wait),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )

    async def post(
        self,
        url: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        *,
        retry: bool = True,
    ) -> Any:
        """The JSON of a 200. Raises UpstreamError or one of its kinds; Refused for a status."""
        content = orjson.dumps(body)
        sent = {"content-type": "application/json", **(headers or {})}
        if not retry:
            return await self._post(url, content, sent)
        return await self._retrying(self._post, url, content, sent)

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(url, content=content, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise upstream_failure(error, url) from error
        if response.status_code != 200:
            raise Refused(url, response.status_code, _reason(response))
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise UpstreamError(f"{url} answered 200 with no JSON") from None

    async def close(self) -> None:
        await self._client.aclose()


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, Refused):
        return error.answered in RETRIED
    return isinstance(error, UpstreamUnavailable) and not isinstance(error, UpstreamTimeout)


def _reason(response: httpx.Response) -> str:
    """The body's `error` (text, or OpenAI's object), its `cause` or `detail`; else its start."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        said = [body[name] for name in ("error", "cause", "detail") if body.get(name)]
        texts = [
            str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in said
        ]
        if texts:
            return " ".join(": ".join(texts).split())[:_SHOWN_BODY]
    return " ".join(response.text[:_SHOWN_BODY].split()) or "(empty body)"
