"""As many callers as keep the large model busy, each of whom asks again at once."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
import psutil

from predictors.contract import text_request
from predictors.contract.speculation import (
    MODEL_PATH,
    PATH,
    Round,
    Verdict,
    VerifyModel,
    Whole,
)
from tests.benchmarks.speculation.asked import DRAWING, Asked, Check, sequence
from tests.benchmarks.speculation.replay import Replay

WARM_SECONDS: Final = 1.0
SECONDS: Final = 3.0
WIRE_ROUNDS: Final = 800
WIRE_CALLERS: Final = 4


@dataclass(frozen=True)
class Event:
    """`tokens` that came evenly from `began` to `ended`. `rows`: of the pass, where that is told;
    `drafted` and `taken`: drafted tokens, if any."""

    began: float
    ended: float
    tokens: int
    rows: int = 0
    drafted: int = 0
    taken: int = 0


# Less than servers keep an idle connection: one that they close just then would lose a request.
IDLE_SECONDS: Final = 1.0

Answering = Callable[[Asked], AsyncIterator[Event]]


@dataclass(frozen=True)
class Served:
    """`rows` of a pass, on the average; `busy`: the cloud's processes, of a core, and `load`: this
    one."""

    tokens_per_second: float
    rows: float | None
    tokens_per_round: float | None
    taken: float | None
    busy: float
    load: float


async def served(
    way: Answering, asked: list[Asked], callers: int, process: int | None = None
) -> Served:
    """`process`: the cloud's id; None: this one."""
    events: list[Event] = []
    turns = itertools.cycle(asked)
    begin = time.perf_counter() + WARM_SECONDS
    end = begin + SECONDS

    async def call() -> None:
        while time.perf_counter() < end:
            async for event in way(next(turns)):
                events.append(event)
                if event.ended > end:
                    return

    async def watched() -> tuple[float, float]:
        await asyncio.sleep(begin - time.perf_counter())
        before = _used(process), _used(None)
        await asyncio.sleep(SECONDS)
        after = _used(process), _used(None)
        return (after[0] - before[0]) / SECONDS, (after[1] - before[1]) / SECONDS

    shares = asyncio.ensure_future(watched())
    await asyncio.gather(*(call() for _ in range(callers)))
    busy, load = await shares
    return _counted(events, begin, end, busy, load)


def patient_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None))


def _counted(events: list[Event], begin: float, end: float, busy: float, load: float) -> Served:
    tokens = sum(
        event.tokens
        * max(0.0, min(event.ended, end) - max(event.began, begin))
        / max(event.ended - event.began, 1e-9)
        for event in events
    )
    within = [event for event in events if begin <= event.ended <= end and event.rows]
    passes = sum(1 / event.rows for event in within)
    drafted = sum(event.drafted for event in within)
    return Served(
        tokens / (end - begin),
        len(within) / passes if passes else None,
        sum(event.tokens for event in within) / len(within) if within else None,
        sum(event.taken for event in within) / drafted if drafted else None,
        busy,
        load,
    )


def whole_answers(session: aiohttp.ClientSession, url: str, limit: int) -> Answering:
    """By the large model alone, each answer in one piece."""

    async def answer(asked: Asked) -> AsyncIterator[Event]:
        given = {"max_tokens": limit, "temperature": 0, "repetition_penalty": 1}
        body = orjson.dumps(text_request([asked.text], given))
        began = time.perf_counter()
        async with session.post(f"{url}/v2/models/m/infer", data=body) as response:
            outputs = (await _json(response))["outputs"]
        (count,) = next(each["data"] for each in outputs if each["name"] == "completion_tokens")
        yield Event(began, time.perf_counter(), count)

    return answer


def rounds(
    check: Check, replay: Replay, drafted: int, limit: int, ends: frozenset[int]
) -> Answering:
    """By rounds of so many drafted tokens, which are replayed, one round of an answer at a time."""

    async def answer(asked: Asked) -> AsyncIterator[Event]:
        def draft(place: int) -> list[int]:
            return replay(asked.prompt, place, drafted)

        began, place = time.perf_counter(), 0
        async for verdict in sequence(asked.prompt, check, draft, ends, limit):
            ended = time.perf_counter()
            told = len(draft(place)[: limit - place - 1])
            # Behind a refused token nothing is looked at.
            looked = min(told, verdict.accepted + 1)
            yield Event(began, ended, len(verdict.tokens), verdict.rows, looked, verdict.accepted)
            began, place = ended, place + len(verdict.tokens)

    return answer


def over_http(session: aiohttp.ClientSession, url: str, vocabulary: int) -> Check:
    async def check(round: Round) -> Verdict:
        async with session.post(f"{url}{PATH}", data=round.to_json()) as response:
            return Verdict.parse(await _json(response), round, vocabulary)

    return check


async def wire_seconds(check: Check, asked: Asked, process: int) -> float:
    """Of the cloud's processor, for a round that costs no pass, as its verdict is known."""
    whole = Whole(tokens=list(asked.prompt), prompt=len(asked.prompt), drawing=DRAWING)
    round = Round(id="wire", at=len(asked.prompt), draft=list(asked.answer[:4]), whole=whole)
    await check(round)
    again = Round(id=round.id, at=round.at, draft=round.draft)
    assert (await check(again)).passes == 0
    before = _used(process)
    for _ in range(WIRE_ROUNDS // WIRE_CALLERS):
        await asyncio.gather(*(check(again) for _ in range(WIRE_CALLERS)))
    return (_used(process) - before) / WIRE_ROUNDS


async def verify_model(session: aiohttp.ClientSession, url: str) -> VerifyModel:
    async with session.get(f"{url}{MODEL_PATH}") as response:
        return VerifyModel.model_validate(await _json(response))


async def _json(response: aiohttp.ClientResponse) -> Any:
    content = await response.read()
    assert response.status == 200, content
    return orjson.loads(content)


def _used(process: int | None) -> float:
    """Seconds of the processor so far."""
    times = psutil.Process(process).cpu_times()
    return times.user + times.system
