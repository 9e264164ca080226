"""A caller that is gone frees its place in vLLM; the others don't notice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from predictors.contract import Query, Sampling
from predictors.engines.vllm.engine import VLLMEngine
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import EngineError, Overloaded
from tests.predictors.engines.vllm.conftest import GREEDY, write_endless
from tests.waiting import until

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

LONG = Query("Tell me everything.", Sampling(900, 0.0, 1.0, 1.0))
SHORT = Query("1 + 1?", GREEDY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VLLMEngine]:
    """One query at a time, three that may be here, and answers that nothing ends."""
    model_dir = write_endless("embedded:edge", tmp_path_factory.mktemp("endless") / "model")
    engine = VLLMEngine(
        VLLMSettings(
            model_dir=str(model_dir),
            enforce_eager=True,
            max_num_seqs=1,
            engine_args={"max_num_queued_reqs": 3},
        )
    )
    await engine.start()
    yield engine
    await engine.close()


async def test_a_cancelled_query_is_aborted_in_the_engine(engine: VLLMEngine) -> None:
    """With one place, the short query is answered before the long one could have ended."""
    (whole,) = await engine.generate([LONG])
    assert whole.completion_tokens == 900
    task = asyncio.gather(*(engine.generate([LONG]) for _ in range(2)))
    await until(lambda: engine.llm.get_num_unfinished_requests() == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.llm.get_num_unfinished_requests() == 0
    (answer,) = await engine.generate([SHORT])
    assert answer.time_to_first_token < 900 * whole.inter_token_latency / 2


@pytest.mark.parametrize("way", ["closed", "cancelled"])
async def test_a_stream_that_is_left_in_the_middle_is_aborted_in_the_engine(
    engine: VLLMEngine, way: str
) -> None:
    """As above: the one place is free long before the stream could have ended."""
    (whole,) = await engine.generate([LONG])
    began = asyncio.Event()

    async def read() -> None:
        async with aclosing(engine.stream(LONG)) as parts:
            async for _ in parts:
                began.set()
                if way == "closed":
                    return

    reading = asyncio.ensure_future(read())
    await began.wait()
    if way == "cancelled":
        reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled() == (way == "cancelled")
    assert engine.llm.get_num_unfinished_requests() == 0
    (answer,) = await engine.generate([SHORT])
    assert answer.time_to_first_token < 900 * whole.inter_token_latency / 2


async def test_more_queries_than_may_wait_are_refused_as_overload(engine: VLLMEngine) -> None:
    waiting = asyncio.gather(*(engine.generate([LONG]) for _ in range(3)))
    await until(lambda: engine.llm.get_num_unfinished_requests() == 3)
    with pytest.raises(Overloaded):
        await engine.generate([SHORT])
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await engine.generate([SHORT]))[0].completion_tokens


async def test_a_dead_engine_fails_who_waits_and_is_not_healthy(engine: VLLMEngine) -> None:
    assert await engine.healthy()
    assert engine.cause_of_death() is None
    stream = engine.stream(LONG)
    assert (await anext(stream)).finish_reason is None
    waiting = asyncio.ensure_future(engine.generate([LONG]))
    await until(lambda: engine.llm.get_num_unfinished_requests() == 2)
    for process in engine.llm.engine_core.resources.engine_manager.processes:
        process.kill()
    with pytest.raises(EngineError, match="died"):
        await asyncio.wait_for(waiting, timeout=60)
    with pytest.raises(EngineError, match="died"):
        async with asyncio.timeout(60):
            async for part in stream:
                assert part.finish_reason is None
    assert not await engine.healthy()
    assert str(engine.cause_of_death()).startswith("vLLM has died: ")
    with pytest.raises(EngineError, match="died"):
        await engine.generate([SHORT])
    await engine.close()
    assert engine.cause_of_death() is None
    with pytest.raises(EngineError, match="closed"):
        await engine.generate([SHORT])
    with pytest.raises(EngineError, match="closed"):
        await anext(engine.stream(SHORT))
    assert not await engine.healthy()
