"""One caller, who asks question after question over a link: what each way of answering takes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from predictors.contract import Query
from predictors.engines.speculative import SpeculativeEngine, SpeculativeSettings
from predictors.engines.speculative.drafting import Drafting
from tests.benchmarks.speculation.asked import GREEDY, Asked
from tests.benchmarks.speculation.link import Link
from tests.benchmarks.speculation.replay import Replay, ReplayDrafter

# Seconds until nothing of the last answer is under way: rounds that nobody waits for any more.
SETTLED: Final = 0.1
DRAFTS: Final = "embedded:long-edge"


class Told(NamedTuple):
    """Of one answer."""

    text: str
    tokens: int
    passes: int
    route: str = "cloud"
    drafted: int = 0
    accepted: int = 0
    rounds: int = 0


Way = Callable[[Asked], Awaitable[Told]]


@dataclass(frozen=True)
class Figures:
    """Of some answers. `sent` and `received`: bytes over the link. `passes`: of the cloud's model.
    `routes`: how many answers came by each."""

    answers: int = 0
    tokens: int = 0
    seconds: float = 0.0
    passes: int = 0
    rounds: int = 0
    drafted: int = 0
    accepted: int = 0
    sent: int = 0
    received: int = 0
    routes: Mapping[str, int] | None = None

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds

    def of(self, told: Told, seconds: float, sent: int, received: int) -> "Figures":
        return Figures(
            self.answers + 1,
            self.tokens + told.tokens,
            self.seconds + seconds,
            self.passes + told.passes,
            self.rounds + told.rounds,
            self.drafted + told.drafted,
            self.accepted + told.accepted,
            self.sent + sent,
            self.received + received,
            dict(Counter(self.routes) + Counter([told.route])),
        )


async def measured(
    ways: Mapping[str, Way], asked: Sequence[Asked], link: Link
) -> dict[str, Figures]:
    """The ways take turns, question by question, forwards and backwards. Raises AssertionError
    where an answer is not that of the large model."""
    found = {name: Figures() for name in ways}
    for number, question in enumerate(asked):
        turn = list(ways.items())
        for name, way in turn if number % 2 else reversed(turn):
            await asyncio.sleep(SETTLED + link.round_trip)
            sent, received = link.bytes
            began = time.perf_counter()
            told = await way(question)
            seconds = time.perf_counter() - began
            assert told.tokens == len(question.answer), f"{name}: {told.text}"
            now = link.bytes
            found[name] = found[name].of(told, seconds, now[0] - sent, now[1] - received)
    return found


@asynccontextmanager
async def cloud_only(url: str) -> AsyncIterator[Way]:
    """By the large model alone, token by token as it says them."""
    async with aiohttp.ClientSession() as session:

        async def ask(asked: Asked) -> Told:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": asked.text}],
                "max_tokens": GREEDY.max_tokens,
                "temperature": 0,
                "repetition_penalty": 1,
                "stream": True,
            }
            text = ""
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                assert response.status == 200
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        for choice in orjson.loads(line[6:])["choices"]:
                            text += choice["delta"].get("content") or ""
            return Told(text, len(asked.answer), len(asked.answer))

        yield ask


class Replaying(SpeculativeEngine):
    """Whose drafts are replayed where there is a `replay`."""

    def __init__(self, settings: SpeculativeSettings, replay: Replay | None) -> None:
        super().__init__(settings)
        self._replay = replay

    async def drafting(self) -> Drafting:
        drafting = await super().drafting()
        if self._replay is None:
            return drafting
        return drafting._replace(drafter=ReplayDrafter(drafting.drafter, self._replay))


@asynccontextmanager
async def speculative(url: str, replay: Replay | None, **settings: Any) -> AsyncIterator[Way]:
    """By the engine, with the long pair's small model here, and one answer at a time."""
    given = SpeculativeSettings(url=url, model_dir=DRAFTS, threads=1, max_batch_size=1, **settings)
    engine = Replaying(given, replay)
    await engine.start()

    async def ask(asked: Asked) -> Told:
        (answer,) = await engine.generate([Query(asked.text, replace(GREEDY))])
        told = answer.speculation
        assert told is not None
        tokens = answer.completion_tokens or 0
        if told.route == "cloud":
            return Told(answer.text, tokens, tokens)
        return Told(
            answer.text,
            tokens,
            told.cloud_passes,
            told.route,
            told.drafted_tokens,
            told.accepted_tokens,
            told.draft_rounds,
        )

    try:
        yield ask
    finally:
        await engine.close()


def naive(url: str, replay: Replay | None, drafted: int) -> Any:
    """Drafts so many tokens, waits until they are checked, and drafts again."""
    options = {"policy": "always", "rounds_in_flight": 1, "draft_tokens": drafted}
    return speculative(url, replay, **options)
