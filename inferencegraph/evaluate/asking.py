"""Puts questions to a graph or to a gateway: so many at a time, or at random times."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np

from inferencegraph.evaluate.datasets import Item
from inferencegraph.evaluate.hints import hint_where_nobody_listens
from inferencegraph.evaluate.outcome import (
    Outcome,
    read_outcome,
    speculation_of,
    tokens_of,
    told_of,
)
from predictors.contract import CLOUD, EDGE, HEM_PREFER, Scalar
from predictors.errors import HEMError, UpstreamError
from predictors.upstream.ask import infer
from predictors.upstream.attempt import Refusal
from predictors.upstream.client import Client, build_client
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.bodies import CHAT
from predictors.upstream.openai.client import Completions
from predictors.upstream.openai.endpoint import base_url
from predictors.upstream.settings import Limits

TIMEOUT_SECONDS: Final = 120.0
_CONNECT_SECONDS: Final = 5.0


class Asker(Protocol):
    """Asks one question once. `side`: whom it shall be answered by; None: as it is routed."""

    async def ask(self, item: Item, side: str | None) -> Outcome:
        """Raises HEMError."""


@dataclass(frozen=True, slots=True)
class Graph:
    """By V2 calls. `parameters` are those of each request."""

    client: Client
    url: str
    parameters: Mapping[str, Scalar]

    async def ask(self, item: Item, side: str | None) -> Outcome:
        parameters = dict(self.parameters) | ({} if side is None else {HEM_PREFER: side})
        with hint_where_nobody_listens():
            given = await infer(self.client, self.url, item.request(parameters), read_outcome)
        outcome = replace(
            given.read,
            seconds=given.seconds,
            status=200,
            request_bytes=given.sent,
            response_bytes=given.received,
        )
        return outcome.degraded(given.failure) if given.failure else outcome


class Gateway:
    """By chats in streams, so that the first token and those between are the client's own."""

    def __init__(self, http: HTTPUpstream, model: str, parameters: Mapping[str, Scalar]) -> None:
        self._completions = Completions(http, CHAT)
        self._model, self._parameters = model, parameters

    async def ask(self, item: Item, side: str | None) -> Outcome:
        body = {
            "model": self._model if side is None else f"{self._model}-{side}",
            "messages": [{"role": "user", "content": item.question.query}],
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._parameters,
        }
        began, first, last = time.perf_counter(), None, None
        outcome: Outcome | None = None
        async with aclosing(self._completions.stream(body)) as parts:
            async for part in parts:
                if part.text or part.reasoning:
                    last = time.perf_counter() - began
                    first = last if first is None else first
                if part.answer is not None:
                    outcome = _of_chat(part.answer, part.decision, part.served_by)
        assert outcome is not None
        seconds = time.perf_counter() - began
        count = getattr(outcome, f"{outcome.route or EDGE}_completion_tokens") or 0
        between = (last - first) / (count - 1) if first and last and count > 1 else None
        return replace(
            outcome,
            seconds=seconds,
            status=200,
            time_to_first_token=first,
            inter_token_latency=between,
        )


def _of_chat(answer: Any, said: Mapping[str, Any], served_by: str | None) -> Outcome:
    """`said` is the gateway's object `hem`."""
    route = said.get("route")
    side = CLOUD if route == CLOUD else EDGE
    drafts = {
        f"{draft['route']}_{kind}_tokens": draft.get(f"{kind}_tokens")
        for draft in said.get("spent") or ()
        if draft.get("route") != side
        for kind in ("prompt", "completion")
    }
    outcome = Outcome(
        route=route,
        text=answer.text,
        served_by=said.get("served_by") or served_by,
        reason=said.get("reason"),
        difficulty=said.get("score"),
        edge_row=told_of(answer) if side == EDGE else {},
        **speculation_of(said),
        **(drafts | tokens_of(side, answer)),
    )
    why = outcome.speculation_reason or said.get("degraded")
    return outcome.degraded(str(why)) if said.get("degraded") else outcome


@asynccontextmanager
async def asker(url: str, through: str, parameters: Mapping[str, Scalar]) -> AsyncIterator[Asker]:
    """Of a `graph`'s V2 URL, or of a `gateway`'s base URL. Raises HEMError where nobody answers."""
    client = build_client(TIMEOUT_SECONDS, connect=_CONNECT_SECONDS)
    if through == "graph":
        async with client:
            yield Graph(client, url, parameters)
        return
    limits = Limits(timeout=TIMEOUT_SECONDS, retries=0, breaker_failures=0, max_concurrency=100_000)
    http = HTTPUpstream(base_url(url), limits, client, refused=Refusal.relayed)
    try:
        with hint_where_nobody_listens():
            listed = await http.get("/models", lambda body: [m["id"] for m in body["data"]])
        yield Gateway(http, str(listed[0]), parameters)
    finally:
        await http.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """So many questions at a time, or with `rate` so many a second, at the times of a Poisson
    process that `seed` draws, however many are under way then."""

    concurrency: int
    rate: float | None = None
    seed: int = 0


async def ask_all(
    asker: Asker,
    items: Sequence[Item],
    side: str | None,
    pace: Pace,
    on_answer: Callable[[Item, Outcome], None],
) -> None:
    """Each once. `on_answer` gets each outcome as it comes; a question that fails becomes one with
    an error."""

    async def one(item: Item) -> None:
        began = time.perf_counter()
        try:
            outcome = await asker.ask(item, side)
        except HEMError as error:
            outcome = _failure(error, time.perf_counter() - began)
        on_answer(item, outcome)

    if pace.rate is None:
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                await one(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(pace.concurrency, len(items))):
                group.create_task(work())
        return
    gaps = np.random.default_rng(pace.seed).exponential(1 / pace.rate, len(items))
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for item, due in zip(items, np.cumsum(gaps).tolist(), strict=True):
            await asyncio.sleep(began + due - asyncio.get_running_loop().time())
            group.create_task(one(item))


def _failure(error: HEMError, seconds: float) -> Outcome:
    status = error.answered if isinstance(error, UpstreamError) else error.status
    return Outcome(error=str(error), seconds=seconds, status=status)
