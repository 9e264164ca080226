"""Callers of every kind: easy and hard questions, batches, bad bodies, and impatient ones."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from predictors.contract import (
    HEM_PREFER,
    SERVED_BY,
    text_request,
)
from predictors.embedded.workshop.questions import test_questions as shipped_questions

QUERIES: Final = [question.query for question in shipped_questions()]
LONGEST_PATIENCE_SECONDS: Final = 0.05
# A breath between two requests of a caller, so that a busy machine measures memory, not queues.
PAUSE_SECONDS: Final = 0.01

BAD_BODIES: Final[Sequence[bytes]] = (
    b"",
    b"{",
    b"[]",
    b'{"inputs": []}',
    b'{"inputs": [{"name": "text_input", "shape": [2], "datatype": "BYTES", "data": ["x"]}]}',
    b'{"inputs": [{"name": "text_input", "shape": [1], "datatype": "FP32", "data": [1.0]}]}',
    b'{"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": [""]}]}',
    b'{"inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["x"]}],'
    b' "parameters": {"max_tokens": -1}}',
    b"\xff" * 1000,
)


@dataclass
class Tally:
    """What came back. `wrong`: answers that break the contract, and requests without an answer."""

    kinds: Counter[str] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class MixedLoad:
    """`graph` and `edge` are URLs to post to: a graph doesn't pass a caller's leaving on, so some
    of those who leave ask the edge's predictor itself."""

    def __init__(self, client: httpx.AsyncClient, graph: str, edge: str, seed: int) -> None:
        self.tally = Tally()
        self._client = client
        self.graph = graph
        self._edge = edge
        self._random = random.Random(seed)
        self._kinds = {
            self._question: 50,
            self._of_the_cloud: 20,
            self._batch: 10,
            self._bad_body: 10,
            self._too_long: 2,
            self._impatient: 8,
        }

    async def run(self, callers: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._caller(until))

    async def _caller(self, until: float) -> None:
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while time.monotonic() < until:
            (kind,) = self._random.choices(kinds, weights)
            self.tally.kinds[kind.__name__.strip("_")] += 1
            began = time.monotonic()
            try:
                await kind()
            except (httpx.HTTPError, TimeoutError) as error:
                self._wrong(f"{kind.__name__}: no answer: {error!r}")
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, time.monotonic() - began)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _question(self) -> None:
        await self._answered(1)

    async def _of_the_cloud(self) -> None:
        await self._answered(1, {HEM_PREFER: "cloud"})

    async def _batch(self) -> None:
        await self._answered(self._random.randint(2, 8))

    async def _bad_body(self) -> None:
        await self._refused(self._random.choice(BAD_BODIES))

    async def _too_long(self) -> None:
        body = text_request(["7 + " * 4000])
        response = await self._client.post(self.graph, json=body)
        self._check_error(response, "too long")

    async def _impatient(self) -> None:
        """Leaves before, or while, it is answered."""
        url = self._random.choice([self.graph, self._edge])
        patience = self._random.uniform(0, LONGEST_PATIENCE_SECONDS)
        call = self._client.post(url, json=text_request(self._some(4)))
        try:
            await asyncio.wait_for(call, patience)
        except TimeoutError:
            self.tally.kinds["left"] += 1

    async def _answered(self, rows: int, parameters: Mapping[str, Any] | None = None) -> None:
        body = text_request(self._some(rows), parameters)
        response = await self._client.post(self.graph, json=body)
        if response.status_code != 200:
            return self._wrong(f"{response.status_code}: {response.text[:200]}")
        answer = response.json()
        texts = next(o["data"] for o in answer["outputs"] if o["name"] == "text_output")
        if len(texts) != rows or not all(isinstance(text, str) for text in texts):
            self._wrong(f"{rows} rows asked: {response.text[:200]}")
        prefix = "asked for the cloud: " if parameters else ""
        self.tally.served_by[prefix + answer["parameters"][SERVED_BY]] += 1

    async def _refused(self, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        response = await self._client.post(self.graph, content=body, headers=headers)
        self._check_error(response, repr(body[:60]))

    def _check_error(self, response: httpx.Response, what: str) -> None:
        client_fault = 400 <= response.status_code < 500
        if not client_fault or not response.json().get("error"):
            self._wrong(f"{what}: {response.status_code}: {response.text[:200]}")

    def _some(self, rows: int) -> list[str]:
        return self._random.sample(QUERIES, rows)

    def _wrong(self, what: str) -> None:
        self.tally.wrong.append(what)
