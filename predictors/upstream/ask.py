"""V2 text questions to a graph, a gateway or a predictor, for clients that ask once each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import httpx
import orjson

from predictors.contract import HEM_ROUTE, Answer, Scalar, parse_answers, text_request
from predictors.errors import ConfigurationError
from predictors.upstream.attempt import as_json, attempt
from predictors.upstream.redaction import shown_url

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Reply:
    """`answers` in the order of the questions; `parameters` of the response, `hem_*` among them;
    `seconds` until the whole answer was there."""

    answers: list[Answer]
    parameters: Mapping[str, Any]
    seconds: float

    @property
    def route(self) -> str | None:
        """The decision; None where no mining took place."""
        return self.parameters.get(HEM_ROUTE)


async def ask(
    client: httpx.AsyncClient,
    url: str,
    texts: Sequence[str],
    parameters: Mapping[str, Scalar],
    seconds: float | None = None,
) -> Reply:
    """Raises UpstreamError, with the server's own words when it refuses."""
    request = text_request(texts, parameters)
    (answers, routed), took = await infer(client, url, request, read_reply, seconds)
    return Reply(answers, routed, took)


async def infer(
    client: httpx.AsyncClient,
    url: str,
    request: Mapping[str, Any],
    read: Callable[[Any], T],
    seconds: float | None = None,
) -> tuple[T, float]:
    """What `read` makes of the JSON that answers a V2 request, and the seconds that it took.

    Raises UpstreamError, also where `read` raises ValueError.
    """
    headers = {"content-type": "application/json"}
    post = client.build_request("POST", url, content=orjson.dumps(request), headers=headers)
    began = perf_counter()
    return await attempt(client, post, as_json(read), seconds=seconds), perf_counter() - began


def read_reply(response: Any) -> tuple[list[Answer], Mapping[str, Any]]:
    """The answers and the parameters of a V2 JSON response. Raises ValueError."""
    return parse_answers(response), response.get("parameters") or {}


def check_url(url: str, option: str = "--url", example: str = DEFAULT_URL) -> str:
    """Raises ConfigurationError for what can't be asked at all."""
    try:
        parsed: httpx.URL | None = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = None
    if url.count("@") > 1 or "@" in _behind_the_host(url):
        raise ConfigurationError(
            f"{option} {shown_url(url)!r} has an @ too many: %40 stands for it, and in a password "
            "%2F for /, %3F for ?, %23 for #"
        )
    if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"{option} {shown_url(url)!r} is not a URL; e.g. {example}")
    return url


def _behind_the_host(url: str) -> str:
    """Path, parameters and fragment: by the first of their marks, whatever that stands in."""
    return "".join(re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[1:])
