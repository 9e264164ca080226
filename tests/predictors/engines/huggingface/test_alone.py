"""A small model's only query runs outside the batch, and goes on in it once it has company."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.huggingface import HuggingFaceEngine, alone, continuous
from tests.predictors.engines.huggingface.conftest import start_engine

GREEDY = Sampling(max_tokens=60, temperature=0.0, repetition_penalty=1.0)
SAMPLED = Sampling(max_tokens=60, temperature=0.9, top_p=0.9, repetition_penalty=1.3, seed=7)


@pytest.fixture
async def engine(tiny_llama: Path) -> AsyncIterator[HuggingFaceEngine]:
    engine = await start_engine("alone", tiny_llama)
    yield engine
    await engine.close()


def steps_of_the_batch(engine: HuggingFaceEngine) -> int:
    return int(engine.batches.manager.current_batch)


async def test_a_single_query_takes_no_step_of_the_batch(engine: HuggingFaceEngine) -> None:
    before = steps_of_the_batch(engine)
    (answer,) = await engine.generate([Query("alone", GREEDY)])
    assert answer.completion_tokens == 60
    assert steps_of_the_batch(engine) == before


async def test_rows_of_one_request_are_a_batch_from_their_first_token(
    engine: HuggingFaceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(continuous, "generate_alone", lambda *run: ran.append(run))
    answers = await engine.generate([Query("one", GREEDY), Query("two", GREEDY)])
    assert [answer.completion_tokens for answer in answers] == [60, 60]
    assert not ran


class Gate:
    """A hook of the model, or of a layer of it, that holds its step number `step` until it is
    opened."""

    def __init__(self, engine: HuggingFaceEngine, step: int, layer: str = "lm_head") -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self.steps_left = step
        self.remove = engine.loaded.model.get_submodule(layer).register_forward_hook(self).remove

    def __call__(self, *step: object) -> None:
        self.steps_left -= 1
        if self.steps_left == 0:
            self.reached.set()
            self.opened.wait(10)


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "seeded"])
async def test_company_midway_changes_no_answer(
    engine: HuggingFaceEngine, sampling: Sampling
) -> None:
    query = Query("how many?", sampling)
    engine.batches.alone = False
    (in_the_batch,) = await engine.generate([query])
    engine.batches.alone = True

    gate = Gate(engine, step=20)
    first = asyncio.ensure_future(engine.generate([query]))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    assert not engine.batches.sampler.sequences
    second = asyncio.ensure_future(engine.generate([Query("company", GREEDY)]))
    async with asyncio.timeout(10):
        while len(engine.batches.sampler.sequences) < 1:
            await asyncio.sleep(0.001)
        gate.opened.set()
        while len(engine.batches.sampler.sequences) < 2:
            await asyncio.sleep(0)
    (moved,), _ = await first, await second
    gate.remove()
    assert_same(moved, in_the_batch)


def assert_same(one: Answer, other: Answer) -> None:
    assert one.text == other.text
    assert one.completion_tokens == other.completion_tokens
    assert one.prompt_tokens == other.prompt_tokens
    assert one.mean_logprob == pytest.approx(other.mean_logprob, abs=1e-4)
    assert one.min_logprob == pytest.approx(other.min_logprob, abs=1e-4)
    assert one.mean_margin == pytest.approx(other.mean_margin, abs=1e-4)


async def test_a_single_query_waits_for_a_step_of_the_batch_whose_callers_have_gone(
    engine: HuggingFaceEngine,
) -> None:
    """Beside it a prompt would see tokens that are still to come."""
    query = Query("how many?", GREEDY)
    (quiet,) = await engine.generate([query])
    gate = Gate(engine, step=5, layer="model.layers.0")
    batch = asyncio.ensure_future(engine.generate([query, query]))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    batch.cancel()
    await asyncio.wait([batch])
    single = asyncio.ensure_future(engine.generate([query]))
    await asyncio.wait([single], timeout=0.5)
    assert not single.done()
    gate.opened.set()
    (answer,) = await single
    gate.remove()
    assert_same(answer, quiet)


async def test_who_leaves_while_alone_stops_at_the_next_token(engine: HuggingFaceEngine) -> None:
    gate = Gate(engine, step=5)
    task = asyncio.ensure_future(engine.generate([Query("goes", GREEDY)]))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.opened.set()
    await asyncio.sleep(0.2)
    assert gate.steps_left == 0
    gate.remove()


async def test_a_large_models_query_stays_in_the_batch(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "SMALL_PARAMETERS", 1)
    engine = await start_engine("alone", tiny_llama)
    try:
        before = steps_of_the_batch(engine)
        await engine.generate([Query("alone", GREEDY)])
        assert steps_of_the_batch(engine) > before
    finally:
        await engine.close()
