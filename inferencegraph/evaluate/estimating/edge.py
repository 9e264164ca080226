"""The edge model, asked alone: a predictor, a graph, or an OpenAI-compatible server."""

import re
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple, Protocol

from inferencegraph.evaluate.estimating.log import LoggedRow
from predictors.contract import EDGE, Answer, Scalar
from predictors.errors import ConfigurationError
from predictors.upstream.ask import check_url
from predictors.upstream.attempt import Refusal
from predictors.upstream.openai.bodies import CHAT
from predictors.upstream.openai.client import Completions
from predictors.upstream.openai.endpoint import AUTHORIZATION, base_url
from predictors.upstream.openai.refusals import told
from predictors.upstream.redaction import shown_url
from transformers_hem.labels.asking import Asker, Models, chats_beside, patient_upstream

_EXAMPLE: Final = "http://127.0.0.1:8080/v2/models/NAME/infer"
_PREDICTOR: Final = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?/infer/?(?:\?|$)")
_OPENAI: Final = re.compile(r"/v1(?:/chat/completions)?/?(?:\?|$)")


class Timed(NamedTuple):
    """`seconds` until the whole answer was there."""

    answer: Answer
    seconds: float


class Edge(Protocol):
    async def ask(self, row: LoggedRow, *, retry: bool = True) -> Timed:
        """Raises UpstreamError and its like."""

    def settings(self) -> Mapping[str, Any]:
        """What decides the answers; without secrets."""

    async def close(self) -> None: ...


def open_edge(
    url: str,
    model: str | None,
    key: str,
    parameters: Mapping[str, Scalar],
    timeout: float,
    attempts: int,
) -> Edge:
    """By the URL's form: it ends in /v2/models/NAME/infer for a predictor, in /v1 for OpenAI's API,
    whose `model` is to be named; any other is a graph's. `timeout` is seconds of one attempt.
    Raises ConfigurationError."""
    check_url(url, "--edge", _EXAMPLE)
    if _OPENAI.search(url):
        if model is None:
            raise ConfigurationError(
                f"--edge {shown_url(url)!r} is OpenAI's API: give --edge-model"
            )
        return ChatEdge(base_url(url), model, key, parameters, timeout, attempts)
    return V2Edge(url, bool(_PREDICTOR.search(url)), parameters, timeout, attempts)


class ChatEdge:
    def __init__(
        self,
        url: str,
        model: str,
        key: str,
        parameters: Mapping[str, Scalar],
        timeout: float,
        attempts: int,
    ) -> None:
        headers = {AUTHORIZATION: f"Bearer {key}"} if key else {}
        refused = told(Refusal.error)
        self._http = patient_upstream(url, timeout, attempts, headers=headers, refused=refused)
        self._completions = Completions(self._http, CHAT)
        self._url, self._model, self._parameters = url, model, parameters

    async def ask(self, row: LoggedRow, *, retry: bool = True) -> Timed:
        messages = row.messages or [{"role": "user", "content": row.question.query}]
        body = {"model": self._model, "messages": list(messages), **self._parameters}
        began = perf_counter()
        answer = await self._completions.complete(body)
        return Timed(answer, perf_counter() - began)

    def settings(self) -> Mapping[str, Any]:
        return {
            "edge": shown_url(self._url),
            "model": self._model,
            "parameters": dict(self._parameters),
        }

    async def close(self) -> None:
        await self._http.close()


class V2Edge:
    """Conversations go to the chats that a predictor of ours has beside V2."""

    def __init__(
        self,
        url: str,
        predictor: bool,
        parameters: Mapping[str, Scalar],
        timeout: float,
        attempts: int,
    ) -> None:
        self._url, self._parameters = url, parameters
        self._asker = Asker(Models(url, url, not predictor, parameters), timeout, attempts)
        chats = chats_beside(url) if predictor else None
        self._chats = ChatEdge(*chats, "", parameters, timeout, attempts) if chats else None

    async def ask(self, row: LoggedRow, *, retry: bool = True) -> Timed:
        if row.messages:
            if self._chats is None:
                raise ConfigurationError(
                    f"{row.question.where}: a conversation, which a graph can't be asked: give the "
                    "edge's /v2/models/NAME/infer, or its OpenAI URL"
                )
            return await self._chats.ask(row, retry=retry)
        began = perf_counter()
        asked = await self._asker.ask(EDGE, row.question.query, retry=retry)
        return Timed(asked.answer, perf_counter() - began)

    def settings(self) -> Mapping[str, Any]:
        return {"edge": shown_url(self._url), "parameters": dict(self._parameters)}

    async def close(self) -> None:
        await self._asker.close()
        if self._chats is not None:
            await self._chats.close()
