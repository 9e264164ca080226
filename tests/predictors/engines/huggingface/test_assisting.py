"""A small model in the same process drafts, and the answers stay what they are without it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from predictors.contract import Answer, Query, Sampling
from predictors.embedded.workshop.questions import LONG, test_questions as shipped_questions
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.errors import ConfigurationError

pytestmark = pytest.mark.asyncio(loop_scope="module")

GREEDY = Sampling(max_tokens=90, temperature=0.0, repetition_penalty=1.0)
WAYS = {
    "greedy": GREEDY,
    "penalised": replace(GREEDY, repetition_penalty=1.05, frequency_penalty=0.5),
    "drawn": Sampling(max_tokens=90, temperature=1.2, top_p=0.9, seed=3),
    "stopped": replace(GREEDY, stop=("\n3",)),
    "short": replace(GREEDY, max_tokens=7),
}
LARGE, SMALL = "embedded:long-cloud", "embedded:long-edge"
SLOTS = 2


def queries(sampling: Sampling, count: int = 3) -> list[Query]:
    questions = shipped_questions(LONG)
    return [Query(each.query, sampling) for each in questions[:: len(questions) // count][:count]]


async def started(**settings: object) -> HuggingFaceEngine:
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=LARGE, **settings))
    await engine.start()
    return engine


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone() -> AsyncIterator[HuggingFaceEngine]:
    engine = await started()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["continuous", "plain"])
async def assisted(request: pytest.FixtureRequest) -> AsyncIterator[HuggingFaceEngine]:
    given = {"assistant_dir": SMALL, "assistant_slots": SLOTS, "batching": request.param}
    engine = await started(**given)
    yield engine
    await engine.close()


def told(answers: list[Answer]) -> list[tuple[str, int | None]]:
    return [(answer.text, answer.completion_tokens) for answer in answers]


@pytest.mark.parametrize("way", WAYS)
async def test_answers_are_those_without(
    alone: HuggingFaceEngine, assisted: HuggingFaceEngine, way: str
) -> None:
    """One at a time with an assistant, and more of them than it has places for."""
    asked = queries(WAYS[way])
    without = await alone.generate(asked)
    one = [answer for query in asked for answer in await assisted.generate([query])]
    together = await assisted.generate(asked)
    assert told(one) == told(together) == told(without)
    for answer, own in zip(one, without, strict=True):
        assert answer.mean_logprob == pytest.approx(own.mean_logprob, abs=1e-5)
        assert answer.mean_margin == pytest.approx(own.mean_margin, abs=1e-5)


async def test_it_takes_fewer_passes_of_the_model(assisted: HuggingFaceEngine) -> None:
    assert assisted.loaded is not None
    passes = []
    hook = assisted.loaded.model.register_forward_hook(lambda *_: passes.append(1))
    (answer,) = await assisted.generate(queries(GREEDY, 1))
    hook.remove()
    assert answer.completion_tokens and len(passes) < answer.completion_tokens / 2


async def test_a_stream_is_the_same_answer(
    alone: HuggingFaceEngine, assisted: HuggingFaceEngine
) -> None:
    (query,) = queries(GREEDY, 1)
    parts = [delta.text async for delta in assisted.stream(query)]
    assert "".join(parts) == (await alone.generate([query]))[0].text
    assert len(parts) > 5


async def test_who_asks_for_the_likeliest_tokens_gets_them(assisted: HuggingFaceEngine) -> None:
    query = replace(queries(replace(GREEDY, max_tokens=5), 1)[0], top_logprobs=2)
    tokens = [token async for delta in assisted.stream(query) for token in delta.tokens]
    assert [len(token.top) for token in tokens] == [2] * 5


async def test_a_caller_who_leaves_frees_the_place(assisted: HuggingFaceEngine) -> None:
    asked = queries(GREEDY, 3 * SLOTS)
    for query in asked:
        left = asyncio.ensure_future(assisted.generate([query]))
        await asyncio.sleep(0.01)
        left.cancel()
        await asyncio.wait([left])
    await test_it_takes_fewer_passes_of_the_model(assisted)


async def test_a_model_with_another_tokenizer_can_not_assist() -> None:
    with pytest.raises(ConfigurationError, match="embedded:edge has another tokenizer"):
        await started(assistant_dir="embedded:edge")


async def test_a_directory_that_is_not_there_is_named(tmp_path: object) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await started(assistant_dir=f"{tmp_path}/nowhere")
