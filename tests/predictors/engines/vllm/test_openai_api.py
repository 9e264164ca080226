"""The openai_api engine in front of vLLM's own server."""

from collections.abc import Iterator
from typing import Any

import pytest

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.embedded import directory
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import HEMError, InvalidRequest
from tests.predictors.engines.vllm.conftest import GREEDY, cut, queries
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

MODEL = "embedded:cloud"
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with running(directory(MODEL), MODEL, log, "--enforce-eager") as url:
        yield url


async def ask(url: str, asked: list[Query], **settings: Any) -> list[Answer]:
    engine = OpenAIAPIEngine(OpenAIAPISettings(url=url, **settings))
    await engine.start()
    try:
        return await engine.generate(asked)
    finally:
        await engine.close()


async def from_huggingface(asked: list[Query]) -> list[Answer]:
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=MODEL))
    await engine.start()
    try:
        return await engine.generate(asked)
    finally:
        await engine.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_chat_answers_and_telemetry_are_those_of_the_huggingface_engine(
    url: str, stream: bool
) -> None:
    asked = queries(60)
    there = await from_huggingface(asked)
    here = await ask(url, asked, stream=stream)
    assert [a.text for a in here] == [a.text for a in there]
    for name in ("prompt_tokens", "completion_tokens"):
        assert [getattr(a, name) for a in here] == [getattr(a, name) for a in there]
    for name in ("mean_logprob", "min_logprob", "mean_margin"):
        for ours, theirs in zip(here, there, strict=True):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=TOLERANCE)


async def test_completions_continue_a_prompt_that_has_the_template_already(url: str) -> None:
    asked = queries(20)
    chat = await ask(url, asked)
    templated = [Query(f"<|user|>{q.text}<|assistant|>", q.sampling) for q in asked]
    raw = await ask(url, templated, api="completions")
    assert [a.text for a in raw] == [a.text for a in chat]
    for one, other in zip(raw, chat, strict=True):
        assert one.mean_logprob == pytest.approx(other.mean_logprob, abs=TOLERANCE)


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_go_on_where_they_were_cut(url: str, stream: bool) -> None:
    asked = [Query(f"What is {number} + 385?", GREEDY) for number in range(100, 110)]
    cuts = cut(asked, await from_huggingface(asked))
    goes_on = await ask(url, [query for query, _ in cuts], stream=stream)
    assert [answer.text for answer in goes_on] == [rest for _, rest in cuts]


async def test_sampling_crosses_the_link(url: str) -> None:
    query = queries(1)[0]
    (full,) = await ask(url, [query])
    (short,) = await ask(url, [Query(query.text, Sampling(1, 0.0, 1.0, 1.0))])
    assert short.completion_tokens == 1
    stop = full.text[-1]
    (cut,) = await ask(url, [Query(query.text, Sampling(48, 0.0, 1.0, 1.0, stop=(stop,)))])
    assert cut.text == full.text[: full.text.index(stop)]
    hot = [Query(query.text, Sampling(24, 2.0, 1.0, 1.0, seed=seed)) for seed in (5, 5, 6, 7, 8)]
    first, again, *others = await ask(url, hot)
    assert first.text == again.text
    assert {answer.text for answer in others} != {first.text}
    penalised = [Query(q.text, Sampling(48, 0.0, 1.0, 4.0)) for q in queries(40)]
    here, there = await ask(url, penalised), await from_huggingface(penalised)
    assert [a.text for a in here] == [a.text for a in there]


async def test_an_unknown_model_is_named(url: str) -> None:
    with pytest.raises(HEMError, match="nobody") as caught:
        await ask(url, queries(1), upstream_model="nobody")
    assert "\n" not in str(caught.value)


async def test_what_is_too_long_is_the_callers_fault(url: str) -> None:
    with pytest.raises(InvalidRequest, match="512"):
        await ask(url, [Query("1 + " * 600, GREEDY)])
