"""Asks the edge predictor behind the answer stage; its refusals come through as they are."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import orjson
from fastapi import Request, Response

from predictors.errors import HEMError, UpstreamError, UpstreamUnavailable
from predictors.upstream.client import (
    PASSED_ON,
    build_client,
    upstream_failure,
)

# Unlike a call to another model, this one is the caller's own: its credentials come along.
_FORWARDED = PASSED_ON | {"authorization"}
_CONNECT_SECONDS = 2.0
_READY_SECONDS = 2.0


class PredictorRefused(HEMError):
    """The predictor answered with an error. `body` is JSON with a top-level `error`."""

    def __init__(self, status: int, message: str, body: bytes) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc]  # the predictor's, not one of ours
        self.body = body


async def answer_refusal(request: Request, refused: Any) -> Response:
    """For the app's exception handlers."""
    return Response(refused.body, refused.status, media_type="application/json")


class PredictorClient:
    """A pooled client for one model of one predictor, V2 JSON over REST."""

    def __init__(self, base_url: str, model_name: str, timeout: float) -> None:
        self._model_url = f"{base_url}/v2/models/{model_name}"
        self._url = f"{self._model_url}/infer"
        self._timeout = timeout
        self._client = build_client(httpx.Timeout(timeout, connect=_CONNECT_SECONDS))

    async def infer(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """The V2 response. Raises PredictorRefused, or UpstreamError where there is none."""
        passed = {name: value for name, value in headers.items() if name.lower() in _FORWARDED}
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(
                    self._url,
                    content=body,
                    headers={**passed, "content-type": "application/json"},
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise upstream_failure(error, self._url) from error
        if response.status_code >= 400:
            raise _refused(response)
        return self._parse(response)

    async def require_ready(self) -> None:
        """Raises UpstreamUnavailable, or another HEMError, where the predictor is not ready."""
        url = f"{self._model_url}/ready"
        try:
            async with asyncio.timeout(_READY_SECONDS):
                response = await self._client.get(url)
        except (httpx.HTTPError, TimeoutError) as error:
            raise upstream_failure(error, url) from error
        if response.status_code != 200:
            raise UpstreamUnavailable(f"{url} answered {response.status_code}")

    async def close(self) -> None:
        await self._client.aclose()

    def _parse(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            answer = None
        if (
            response.status_code != 200
            or not isinstance(answer, dict)
            or not isinstance(answer.get("outputs"), list)
            or not isinstance(answer.get("parameters", {}), dict | None)
        ):
            raise UpstreamError(f"{self._url} answered {response.status_code} with no V2 response")
        return answer


def _refused(response: httpx.Response) -> PredictorRefused:
    """A body without a top-level `error` gets one: the graph's degrade step looks for it."""
    content = response.content
    try:
        message = orjson.loads(content)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        message = response.text[:500] or f"the predictor answered {response.status_code}"
        content = orjson.dumps({"error": message})
    return PredictorRefused(response.status_code, str(message), content)
