"""A caller that is gone frees its place; the others don't notice."""

import asyncio
import time

import pytest

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import EngineError
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = Sampling(max_tokens=240, temperature=0.0, repetition_penalty=1.0)
SHORT = Sampling(max_tokens=5, temperature=0.0, repetition_penalty=1.0)


def counted(engine: HuggingFaceEngine) -> list[None]:
    """One for each step of the model from now on."""
    taken: list[None] = []
    engine.loaded.model.lm_head.register_forward_hook(lambda *_: taken.append(None))
    return taken


async def cancelled(
    engine: HuggingFaceEngine, queries: list[Query], taken: list[None], steps: int
) -> None:
    task = asyncio.ensure_future(engine.generate(queries))
    await until(lambda: len(taken) >= steps)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_query_leaves_the_continuous_batch(tiny_llama):
    engine = await started(tiny_llama, "continuous")
    scheduler = engine.batches.manager.batch_processor.scheduler
    try:
        await cancelled(engine, [Query("long", LONG)] * 4, counted(engine), steps=5)
        await until(lambda: not scheduler.has_pending_requests())
        # Full blocks may stay for prefixes to come, owned by nobody and given up on demand.
        await until(lambda: not owned_blocks(scheduler.cache))
        assert engine.batches.sampler.sequences == {}
        assert engine.batches.manager.output_router.result_handlers == {}
    finally:
        await engine.close()


async def test_a_cancelled_group_ends_before_its_answers_would(tiny_llama):
    engine = await started(tiny_llama, "plain")
    try:
        taken = counted(engine)
        await cancelled(engine, [Query("long", LONG)], taken, steps=5)
        await engine.generate([Query("short", SHORT)])
        assert len(taken) < LONG.max_tokens / 2
    finally:
        await engine.close()


async def test_others_in_the_batch_get_their_answers(engine):
    (alone,) = await engine.generate([Query("stays", LONG)])
    stays = asyncio.ensure_future(engine.generate([Query("stays", LONG)]))
    await cancelled(engine, [Query("goes", LONG)], counted(engine), steps=5)
    assert (await stays)[0].text == alone.text


async def test_thousands_of_cancelled_queries_leave_nothing_behind(tiny_llama):
    engine = await started(tiny_llama, "continuous")
    try:
        tasks = [asyncio.ensure_future(engine.generate([Query("q", LONG)])) for _ in range(2000)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        (answer,) = await asyncio.wait_for(engine.generate([Query("short", SHORT)]), timeout=20)
        assert answer.completion_tokens == 5
        assert engine.batches.sampler.sequences == {}
    finally:
        await engine.close()


async def test_the_event_loop_stays_free_while_it_generates(engine):
    work = asyncio.ensure_future(engine.generate([Query(f"q{n}", LONG) for n in range(32)]))
    pauses = []
    while not work.done():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - start)
    assert sorted(pauses)[len(pauses) // 2] < 0.05


@pytest.mark.parametrize("batching", ["continuous", "plain"])
async def test_closing_fails_who_still_waits(tiny_llama, batching):
    engine = await started(tiny_llama, batching)
    taken = counted(engine)
    waiting = asyncio.ensure_future(engine.generate([Query("long", LONG)] * 3))
    await until(lambda: len(taken) >= 5)
    await engine.close()
    with pytest.raises(EngineError):
        await asyncio.wait_for(waiting, timeout=30)
    with pytest.raises(EngineError, match="closed"):
        await engine.generate([Query("late", SHORT)])
    assert not await engine.healthy()


async def started(model_dir, batching: str) -> HuggingFaceEngine:
    settings = HuggingFaceSettings(model_dir=str(model_dir), batching=batching, threads=1)
    engine = HuggingFaceEngine(settings)
    await engine.start()
    return engine


def owned_blocks(cache) -> dict[str, list[int]]:
    """Request id -> blocks of the key-value cache that are its own."""
    tables = [allocator.block_table for allocator in cache.cache_allocators.values()]
    return {request: blocks for table in tables for request, blocks in table.items()}
