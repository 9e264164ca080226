"""Streams and the cache: a hit streams, and only a whole answer that is text alone is kept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from predictors.cache.engine import CachedEngine
from predictors.cache.key import answer_key
from predictors.cache.store import MemoryStore
from predictors.contract import Answer, Delta, Query, Sampling, ScoredToken
from predictors.contract.answer import Speculation
from predictors.engines.base import EngineSettings, TextEngine
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import EngineError
from predictors.upstream.ledger.decision import decided

GREEDY = Sampling(temperature=0.0)


class Streaming(TextEngine):
    """Two parts, and how often it was asked; `break` fails between them."""

    takes = frozenset({"messages"})
    asked = 0

    async def start(self) -> None:
        return None

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        self.asked += len(queries)
        return [Answer(f"{query.text} {self.asked}", completion_tokens=2) for query in queries]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        (answer,) = await self.generate([query])
        thought = "hm" if "think" in query.text else ""
        yield Delta(query.text, reasoning=thought, tokens=(ScoredToken("x", -1.0),))
        if "break" in query.text:
            raise EngineError("broken")
        rest = answer.text.removeprefix(query.text)
        yield Delta(rest, finish_reason="stop", answer=answer)


@pytest.fixture
def cached() -> CachedEngine:
    return CachedEngine(Streaming(EngineSettings()), MemoryStore(10_000), b"model", "m")


async def text(engine: CachedEngine, query: Query) -> str:
    return "".join([part.text async for part in engine.stream(query)])


async def test_the_second_stream_is_a_hit_in_one_part(cached: CachedEngine) -> None:
    query = Query("hello", GREEDY)
    assert await text(cached, query) == "hello 1"
    (hit,) = [part async for part in cached.stream(query)]
    assert (hit.text, hit.finish_reason) == ("hello 1", "stop")
    assert hit.answer is not None and hit.answer.cached


async def test_whole_answers_and_streams_share_what_is_kept(cached: CachedEngine) -> None:
    query = Query("hello", GREEDY)
    (whole,) = await cached.generate([query])
    assert await text(cached, query) == whole.text
    other = Query("other", GREEDY)
    streamed = await text(cached, other)
    assert (await cached.generate([other]))[0].text == streamed


async def test_a_broken_stream_is_never_kept(cached: CachedEngine) -> None:
    query = Query("break", GREEDY)
    for _ in range(2):
        with pytest.raises(EngineError):
            await text(cached, query)
    async with aclosing(cached.stream(Query("left", GREEDY))) as parts:
        await anext(parts)
    assert await text(cached, Query("left", GREEDY)) == "left 4"


@pytest.mark.parametrize(
    "record",
    [
        *(b"", b"\x00", b"[]", b'"text"', b"{}", b'{"text": null}', b'{"text": "cut'),
        *(b'{"text": "x", "completion_tokens": "two"}', b'{"text": "x", "mean_logprob": [1]}'),
        *(b'{"text": "x", "prompt_tokens": -1}', b'{"text": "x", "served_by": {}}'),
    ],
)
async def test_a_malformed_record_is_no_answer(record: bytes) -> None:
    store = MemoryStore(10_000)
    engine = CachedEngine(Streaming(EngineSettings()), store, b"model", "m")
    query = Query("hello", GREEDY)
    await store.write({answer_key(b"model", query): record})
    assert await text(engine, query) == "hello 1"
    assert (await engine.generate([query]))[0].text == "hello 1"


async def test_what_a_record_can_not_hold_is_not_kept(cached: CachedEngine) -> None:
    assert await text(cached, Query("think", GREEDY)) == "think 1"
    assert await text(cached, Query("think", GREEDY)) == "think 2"
    scored = Query("hello", GREEDY, top_logprobs=0)
    assert await text(cached, scored) == "hello 3"
    (first, _) = [part async for part in cached.stream(scored)]
    assert first.tokens


async def test_conversations_and_sampled_answers_are_told_apart(cached: CachedEngine) -> None:
    from predictors.contract import Message

    hello = Message("user", "hello")
    queries = [
        Query("hello", GREEDY),
        Query("hello", GREEDY, messages=(Message("system", "be brief"), hello)),
        Query("hello", GREEDY, messages=(Message("system", "be long"), hello)),
        Query("hello", GREEDY, raw=True),
        Query("hello", Sampling(temperature=0.0, presence_penalty=1.0)),
        Query("hello", Sampling(temperature=1.0)),
        Query("hello", Sampling(temperature=1.0)),
    ]
    texts = [await text(cached, query) for query in queries]
    assert texts == [f"hello {count}" for count in range(1, 8)]
    assert cached.takes == {"messages"}


class Joint(Streaming):
    """Two models, of which the small one answers alone where mining says so; `stands_in`: always,
    a moment later."""

    reads_route = True
    stands_in = False

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        answers = await super().generate(queries)
        if not self.stands_in:
            return [replace(answer, served_by="big") for answer in answers]
        await asyncio.sleep(0.05)
        told = Speculation("edge", "the link broke", draft_rounds=3)
        return [replace(answer, speculation=told) for answer in answers]


def joint(*, stands_in: bool = False) -> CachedEngine:
    engine = Joint(EngineSettings())
    engine.stands_in = stands_in
    return CachedEngine(engine, MemoryStore(10_000), b"model", "m")


async def test_what_the_small_model_says_where_it_is_asked_alone_is_not_the_others_answer() -> None:
    cached, query = joint(), Query("hello", GREEDY)
    with decided({"hem_route": "edge"}):
        assert (await cached.generate([query]))[0].text == "hello 1"
    assert (await cached.generate([query]))[0].text == "hello 2"
    with decided({"hem_route": "edge"}):
        (alone,) = await cached.generate([query])
        assert (alone.text, alone.cached) == ("hello 3", False)
        assert await text(cached, query) == "hello 4"
    with decided({"hem_route": "cloud"}):
        (hit,) = await cached.generate([query])
        (part,) = [part async for part in cached.stream(query)]
    assert (hit.text, hit.cached, hit.served_by) == ("hello 2", True, "big")
    assert (part.text, part.served_by) == ("hello 2", "big")


async def test_who_waits_for_the_answer_of_another_one_learns_that_a_small_model_stands_in() -> (
    None
):
    cached, query = joint(stands_in=True), Query("hello", GREEDY)
    (first,), (second,) = await asyncio.gather(cached.generate([query]), cached.generate([query]))
    assert first.text == second.text == "hello 1"
    assert first.speculation is not None and first.speculation.draft_rounds == 3
    assert second.speculation == Speculation("edge", "the link broke")


def test_an_engine_that_checks_drafts_does_so_behind_a_cache() -> None:
    given: dict[str, Any] = {"model_dir": "embedded:long-cloud"}
    for slots in (0, 4):
        engine = HuggingFaceEngine(HuggingFaceSettings(**given, verify_slots=slots))
        cached = CachedEngine(engine, MemoryStore(10_000), b"model", "m")
        assert cached.draft_checker is (engine if slots else None)
