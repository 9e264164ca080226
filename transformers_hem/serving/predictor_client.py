"""Asks the edge predictor behind the answer stage: for answers, whose refusals come through as they
are, and whether it is ready."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from predictors.errors import HEMError, NotReady
from predictors.upstream.attempt import Refusal, unread
from predictors.upstream.client import PASSED_ON, build_client
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import Limits

# Unlike a call to another model, this one is the caller's own: its credentials come along.
_FORWARDED: Final = PASSED_ON | {"authorization"}
_READY_SECONDS: Final = 2.0


class PredictorRefused(HEMError):
    """The predictor answered with an error. `body` is JSON with a top-level `error`."""

    def __init__(self, status: int, message: str, body: bytes) -> None:
        super().__init__(message)
        self.status = status  # the predictor's, not one of ours
        self.body = body


async def answer_refusal(request: Request, refused: Any) -> Response:
    """For the app's exception handlers."""
    return Response(refused.body, refused.status, media_type="application/json")


class PredictorClient:
    """A pooled client for one model of one predictor, V2 JSON over REST.

    The predictor has a queue of its own, and one that restarts must be asked again at once: so
    here are neither a queue, nor other attempts, nor a circuit breaker.
    """

    def __init__(
        self,
        base_url: str,
        model_name: str,
        timeout: float,
        verify: ssl.SSLContext | str = "",
    ) -> None:
        limits = Limits(
            timeout=timeout,
            retries=0,
            max_concurrency=1_000_000,
            max_answer_bytes=2**31 - 1,
            breaker_failures=0,
        )
        client = build_client(timeout, connect=limits.connect_timeout, verify=verify)
        url = f"{base_url}/v2/models/{model_name}"
        self._http = HTTPUpstream(url, limits, client, refused=_refused)

    async def infer(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """The V2 response. Raises PredictorRefused, or UpstreamError where there is none."""
        passed = {name: value for name, value in headers.items() if name.lower() in _FORWARDED}
        return await self._http.post("/infer", body, _response, headers=passed)

    async def require_ready(self) -> None:
        """Raises NotReady, or UpstreamError where the predictor can't be asked."""
        try:
            await self._http.once("GET", "/ready", unread, headers={}, seconds=_READY_SECONDS)
        except PredictorRefused as refused:
            raise NotReady(f"{self._http.url}/ready answered {refused.status}") from None

    async def close(self) -> None:
        await self._http.close()


def _response(answer: Any) -> dict[str, Any]:
    if (
        not isinstance(answer, dict)
        or not isinstance(answer.get("outputs"), list)
        or not isinstance(answer.get("parameters", {}), dict | None)
    ):
        raise ValueError("not a V2 response")
    return answer


def _refused(refusal: Refusal) -> HEMError:
    """A body without a top-level `error` gets one: the graph's degrade step looks for it."""
    if refusal.status < 400:
        return refusal.error()
    message = refusal.reason or f"the predictor answered {refusal.status}"
    try:
        content = orjson.loads(refusal.body)
    except orjson.JSONDecodeError:
        content = None
    complete = isinstance(content, dict) and "error" in content
    body = refusal.body if complete else orjson.dumps({"error": message})
    return PredictorRefused(refusal.status, message, body)


def add_ready_routes(
    app: FastAPI, model_name: str, require_ready: Callable[[], Awaitable[None]]
) -> None:
    """HEM is ready when its predictor is: 503 with an `error` that says why, until then.

    kserve asks a model's `healthy` on every inference too, and its own check of a predictor answers
    an unreachable one with 500; so these routes stand before kserve's.
    """

    async def model_ready() -> dict[str, Any]:
        await require_ready()
        return {"name": model_name, "ready": True}

    async def server_ready() -> dict[str, Any]:
        await require_ready()
        return {"ready": True}

    app.add_api_route(f"/v2/models/{model_name}/ready", model_ready, methods=["GET"])
    app.add_api_route("/v2/health/ready", server_ready, methods=["GET"])
