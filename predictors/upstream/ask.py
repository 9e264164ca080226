"""V2 text questions to a graph, a gateway or a predictor, for clients that ask once each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

import httpx
import orjson

from predictors.contract import (
    FAILURE_HEADER,
    HEM_ROUTE,
    Answer,
    Scalar,
    parse_answers,
    text_request,
)
from predictors.errors import ConfigurationError
from predictors.upstream.attempt import as_json, attempt
from predictors.upstream.redaction import shown_url

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """`answers` in the order of the questions; `parameters` of the response, `hem_*` among them;
    `seconds` until the whole answer was there. `failure`: why another server failed in whose place
    this answer was given; only where the graph's router says so (FAILURE_HEADER). `id`: the
    response's, which feedback names."""

    answers: list[Answer]
    parameters: Mapping[str, Any]
    seconds: float
    failure: str = ""
    id: str | None = None

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

    def read(response: Any) -> tuple[list[Answer], Mapping[str, Any], str | None]:
        answers, routed = read_reply(response)
        if len(answers) != len(texts):
            raise ValueError(f"it has {len(answers)} rows for {len(texts)} question(s)")
        return answers, routed, read_id(response)

    given = await infer(client, url, text_request(texts, parameters), read, seconds)
    answers, routed, name = given.read
    return Reply(answers, routed, given.seconds, given.failure, name)


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """What was read of an answer; `seconds` and `failure` as of a Reply. `sent` and `received` are
    the bytes of both bodies."""

    read: T
    seconds: float
    failure: str
    sent: int = 0
    received: int = 0


async def infer(
    client: httpx.AsyncClient,
    url: str,
    request: Mapping[str, Any],
    read: Callable[[Any], T],
    seconds: float | None = None,
) -> Given[T]:
    """What `read` makes of the JSON that answers a V2 request.

    Raises UpstreamError, also where `read` raises ValueError.
    """
    headers = {"content-type": "application/json"}
    content = orjson.dumps(request)
    post = client.build_request("POST", url, content=content, headers=headers)

    async def given(response: httpx.Response, began: float) -> Given[T]:
        answer = await as_json(read)(response, began)
        failure = response.headers.get(FAILURE_HEADER, "")
        seconds, received = perf_counter() - began, response.num_bytes_downloaded
        return Given(answer, seconds, failure, len(content), received)

    return await attempt(client, post, given, seconds=seconds)


def read_reply(response: Any) -> tuple[list[Answer], Mapping[str, Any]]:
    """The answers and the parameters of a V2 JSON response. Raises ValueError."""
    answers, parameters = parse_answers(response), response.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError("no V2 response: its parameters are not an object")
    return answers, parameters


def read_id(response: Mapping[str, Any]) -> str | None:
    """A V2 response's own, where it is a text."""
    name = response.get("id")
    return name if isinstance(name, str) and name else None


def check_url(url: str, option: str, example: str) -> str:
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
