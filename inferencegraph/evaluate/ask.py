"""One V2 call to a graph, a gateway or a predictor, and what came back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from predictors.contract import (
    HEM_ROUTE,
    Answer,
    Scalar,
    parse_answers,
    text_request,
)
from predictors.errors import HEMError, UpstreamError, UpstreamUnavailable
from predictors.upstream.client import upstream_failure

_SHOWN_BODY = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """`answers` in the order of the questions; `parameters` of the response, `hem_*` among them."""

    answers: list[Answer]
    parameters: Mapping[str, Any]
    seconds: float

    @property
    def route(self) -> str | None:
        """The decision; None where no mining took place."""
        return self.parameters.get(HEM_ROUTE)


async def ask(
    client: httpx.AsyncClient, url: str, texts: Sequence[str], parameters: Mapping[str, Scalar]
) -> Reply:
    """Raises what `infer` does."""
    body, seconds = await infer(client, url, text_request(texts, parameters))
    try:
        return Reply(parse_answers(body), body.get("parameters") or {}, seconds)
    except ValueError as error:
        raise UpstreamError(f"{url} answered 200 with {error}") from None


async def infer(
    client: httpx.AsyncClient, url: str, request: Mapping[str, Any]
) -> tuple[dict[str, Any], float]:
    """The JSON object that answers a V2 request, and the seconds that it took.

    Raises UpstreamUnavailable when nobody listens at `url`, UpstreamTimeout, and UpstreamError
    with the server's own words when it refuses.
    """
    began = time.perf_counter()
    try:
        response = await client.post(url, json=dict(request))
    except (httpx.HTTPError, TimeoutError) as error:
        raise _unreachable(error, url) from None
    seconds = time.perf_counter() - began
    if response.status_code != 200:
        raise UpstreamError(f"{url} answered {response.status_code}: {error_text(response)}")
    try:
        body = response.json()
    except ValueError as error:
        raise UpstreamError(f"{url} answered 200 with {error}") from None
    if not isinstance(body, dict):
        raise UpstreamError(f"{url} answered 200 with no V2 response: it has no outputs")
    return body, seconds


def error_text(response: httpx.Response) -> str:
    """The body's `error` and its `cause` (a graph's), or its `detail`; else the body's start."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        said = [str(body[name]) for name in ("error", "cause", "detail") if body.get(name)]
        if said:
            return ": ".join(said)
    return response.text[:_SHOWN_BODY] or "(empty body)"


def _unreachable(error: httpx.HTTPError | TimeoutError, url: str) -> HEMError:
    failure = upstream_failure(error, url)
    if not isinstance(failure, UpstreamUnavailable):
        return failure
    return UpstreamUnavailable(
        f"{failure}; is it up? `hem up` starts the example, --url asks another"
    )
