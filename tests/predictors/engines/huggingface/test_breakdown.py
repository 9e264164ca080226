"""When the model itself fails under load: waiting queries fail, the next ones are answered. Where
they can't be, the process ends."""

import asyncio

import httpx
import pytest
import torch

from predictors.contract import (
    Query,
    Sampling,
    text_request,
)
from predictors.engines.huggingface import (
    HuggingFaceEngine,
    HuggingFaceSettings,
    continuous,
)
from predictors.errors import EngineError
from tests.predictors.engines.huggingface.conftest import WAYS, start_engine

pytestmark = pytest.mark.asyncio(loop_scope="function")

GREEDY = Sampling(max_tokens=30, temperature=0.0, repetition_penalty=1.0)


def leave(*_):
    raise SystemExit(3)


class FatalEngine(HuggingFaceEngine):
    """Its thread ends at the first query."""

    async def start(self):
        await super().start()
        self.loaded.model.lm_head.register_forward_hook(leave)


class Fault:
    """A forward hook on the model's head that fails once it is told to."""

    def __init__(self, engine: HuggingFaceEngine) -> None:
        self.armed = False
        engine.loaded.model.lm_head.register_forward_hook(self)

    def __call__(self, module, inputs, logits):
        if self.armed:
            raise torch.OutOfMemoryError("out of memory: tried to allocate 20.00 GiB")
        return logits


@pytest.fixture(params=WAYS)
async def broken(request, tiny_llama):
    engine = await start_engine(request.param, tiny_llama)
    yield engine, Fault(engine)
    await engine.close()


async def test_a_breakdown_fails_every_query_in_it_and_the_next_is_answered(broken):
    engine, fault = broken
    (before,) = await engine.generate([Query("abc", GREEDY)])
    fault.armed = True
    tasks = [asyncio.ensure_future(engine.generate([Query("abc", GREEDY)])) for _ in range(8)]
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=20)
    assert all(isinstance(result, EngineError) for result in results)
    assert any("out of memory" in str(result) for result in results)
    fault.armed = False
    (after,) = await asyncio.wait_for(engine.generate([Query("abc", GREEDY)]), timeout=20)
    assert after.text == before.text
    assert await engine.healthy()


async def test_nan_from_the_model_fails_the_query_not_the_engine(broken):
    engine, _ = broken
    hook = engine.loaded.model.lm_head.register_forward_hook(lambda m, i, out: out * float("nan"))
    with pytest.raises(EngineError, match="NaN"):
        await engine.generate([Query("abc", GREEDY)])
    with pytest.raises(EngineError, match="NaN"):
        await engine.generate([Query("abc", Sampling(max_tokens=5))])
    hook.remove()
    (answer,) = await engine.generate([Query("abc", GREEDY)])
    assert answer.completion_tokens == 30


async def test_a_cache_smaller_than_all_queries_together_changes_no_answer(tiny_llama):
    """Queries that don't fit are put back and computed again; their telemetry is not."""
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=str(tiny_llama), kv_cache_tokens=64, threads=1)
    )
    await engine.start()
    try:
        sampling = Sampling(max_tokens=100, temperature=0.0, repetition_penalty=1.0)
        (alone,) = await engine.generate([Query("abc", sampling)])
        assert alone.prompt_tokens + alone.completion_tokens == 64
        answers = await engine.generate([Query("abc", sampling)] * 8)
        assert {answer.text for answer in answers} == {alone.text}
        for answer in answers:
            assert answer.completion_tokens == alone.completion_tokens
            assert answer.mean_logprob == pytest.approx(alone.mean_logprob, abs=1e-4)
    finally:
        await engine.close()


async def test_prompts_longer_than_one_step_are_split(tiny_llama):
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=str(tiny_llama), batching="continuous", threads=1)
    )
    await engine.start()
    try:
        queries = [Query("x" * (100 + n) + "?", GREEDY) for n in range(12)]
        together = await engine.generate(queries)
        alone = [(await engine.generate([query]))[0] for query in queries]
        assert [answer.text for answer in together] == [answer.text for answer in alone]
    finally:
        await engine.close()


@pytest.mark.parametrize("broken", ["continuous"], indirect=True)
async def test_an_engine_that_can_not_recover_says_so_and_is_not_healthy(broken, monkeypatch):
    engine, fault = broken
    fault.armed = True
    with pytest.raises(EngineError, match="out of memory"):
        await engine.generate([Query("abc", GREEDY)])
    engine.batches.cache_tokens = 10**12  # more memory than any machine has
    with pytest.raises(EngineError, match="can't be started again"):
        await engine.generate([Query("abc", GREEDY)])
    assert not await engine.healthy()
    assert engine.cause_of_death() is None, "memory may be free again in a moment"
    monkeypatch.setattr(continuous, "RECOVERY_SECONDS", 0.0)
    assert "can't be started again" in engine.cause_of_death()
    engine.batches.cache_tokens = 1000
    assert await engine.healthy()
    assert engine.cause_of_death() is None


@pytest.mark.parametrize("broken", ["plain"], indirect=True)
async def test_a_thread_that_ends_fails_who_waits_and_is_the_engines_death(broken):
    engine, _ = broken
    assert engine.cause_of_death() is None
    engine.loaded.model.lm_head.register_forward_hook(leave)
    queries = [engine.generate([Query("abc", GREEDY)]) for _ in range(20)]  # two groups
    results = await asyncio.wait_for(asyncio.gather(*queries, return_exceptions=True), timeout=20)
    assert all("thread that generates has ended" in str(result) for result in results)
    assert engine.cause_of_death() == "the thread that generates has ended: SystemExit(3)"
    assert not await engine.healthy()
    with pytest.raises(EngineError, match="has ended"):
        await engine.generate([Query("late", GREEDY)])


@pytest.mark.parametrize("cache", ["off", "memory"])
async def test_a_predictor_whose_engine_has_died_ends(cache, tiny_llama, start_server):
    server = start_server(
        *("predictors", "--model_name", "m", "--model_dir", str(tiny_llama), "--cache", cache),
        *("--engine", f"{FatalEngine.__module__}:FatalEngine", "--temperature", "0"),
        *("--batching", "plain"),
        ready="/v2/models/m/ready",
    )
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        response = await client.post("/v2/models/m/infer", json=text_request(["a"]))
    assert (response.status_code, "has ended" in response.json()["error"]) == (500, True)
    assert await asyncio.to_thread(server.process.wait, 30) == 1
    assert server.log.read_text().splitlines()[-1] == (
        "error: model 'm' can't answer any more: the thread that generates has ended: SystemExit(3)"
    )
