"""vLLM's own server checks what a small model drafts: the answers are the server's own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from predictors.contract import Answer, Query, Sampling
from predictors.embedded import directory
from predictors.embedded.workshop.questions import LONG, test_questions as shipped_questions
from predictors.engines.speculative import SpeculativeEngine, SpeculativeSettings
from predictors.errors import UpstreamError
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]

QUESTIONS = [each.query for each in shipped_questions(LONG)[::50]]
GREEDY = {"max_tokens": 90, "temperature": 0.0, "repetition_penalty": 1.0}


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    told = ("--enable-per-request-metrics", "--enable-prompt-tokens-details")
    with running(directory("embedded:long-cloud"), "big", log, "--enforce-eager", *told) as url:
        yield url


@asynccontextmanager
async def drafting(url: str, model: str, **settings: Any) -> AsyncIterator[SpeculativeEngine]:
    given = {"url": url, "verifier": "vllm", "model_dir": model, "policy": "always", **settings}
    engine = SpeculativeEngine(SpeculativeSettings(**given))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[("prompt_logprobs", 1), ("prefixes", 1), ("prompt_logprobs", 4)],
    ids=["prompt_logprobs", "prefixes", "rounds ahead"],
)
async def engine(vllm: str, request: pytest.FixtureRequest) -> AsyncIterator[SpeculativeEngine]:
    way, rounds = request.param
    given = {"vllm_check": way, "vllm_rounds": rounds}
    async with drafting(vllm, "embedded:long-edge", **given) as engine:
        yield engine


async def asked(engine: SpeculativeEngine, **sampling: Any) -> list[Answer]:
    queries = [Query(each, Sampling(**{**GREEDY, **sampling})) for each in QUESTIONS]
    return await engine.generate(queries)


def own(url: str, question: str, **fields: Any) -> dict[str, Any]:
    """The server's own answer."""
    messages = [{"role": "user", "content": question}]
    body = {"model": "big", "messages": messages, **GREEDY, "logprobs": True, **fields}
    answer = httpx.post(f"{url}/chat/completions", json=body, timeout=120)
    answer.raise_for_status()
    choice: dict[str, Any] = answer.json()["choices"][0]
    return choice


@pytest.mark.parametrize("given", [{}, {"stop": "\n3"}, {"max_tokens": 7}], ids=str)
async def test_greedy_answers_are_the_server_s_own(
    vllm: str, engine: SpeculativeEngine, given: dict[str, Any]
) -> None:
    stop = given.get("stop")
    answers = await asked(engine, **{**given, **({"stop": (stop,)} if stop else {})})
    for question, answer in zip(QUESTIONS, answers, strict=True):
        choice = own(vllm, question, **given)
        assert answer.text == choice["message"]["content"]
        logprobs = [each["logprob"] for each in choice["logprobs"]["content"]]
        assert answer.completion_tokens == len(logprobs)
        assert answer.mean_logprob == pytest.approx(sum(logprobs) / len(logprobs), abs=1e-3)
        assert answer.mean_margin is not None and 0 < answer.mean_margin <= 1
        assert answer.speculation is not None and answer.speculation.route == "speculative"


async def test_it_costs_the_server_fewer_passes_than_tokens(engine: SpeculativeEngine) -> None:
    for answer in await asked(engine):
        told = answer.speculation
        assert told is not None and answer.completion_tokens
        assert 0 < told.cloud_passes < answer.completion_tokens / 2
        # With several rounds under way computing may fill all of the time, and none is the link's.
        assert told.link_bytes_received > 1000 and told.link_bytes_sent > 1000


async def test_a_stream_is_the_same_answer(vllm: str, engine: SpeculativeEngine) -> None:
    parts = [delta.text async for delta in engine.stream(Query(QUESTIONS[0], Sampling(**GREEDY)))]
    assert "".join(parts) == own(vllm, QUESTIONS[0])["message"]["content"]
    assert len(parts) > 1


@pytest.mark.parametrize(
    "given",
    [{"repetition_penalty": 1.3}, {"presence_penalty": 1.5}, {"temperature": 0.9, "seed": 7}],
    ids=str,
)
async def test_what_it_can_not_check_the_server_answers_alone(
    vllm: str, engine: SpeculativeEngine, given: dict[str, Any]
) -> None:
    sampling = Sampling(**{**GREEDY, "top_p": 1.0, **given})
    (answer,) = await engine.generate([Query(QUESTIONS[0], sampling)])
    assert answer.speculation is not None
    assert (answer.speculation.route, answer.speculation.draft_rounds) == ("cloud", 0)
    assert ("temperature" in given) == ("temperature 0" in answer.speculation.reason)
    if "temperature" not in given:
        assert next(iter(given)) in answer.speculation.reason
        assert answer.text == own(vllm, QUESTIONS[0], **given)["message"]["content"]


async def test_a_model_with_another_tokenizer_can_not_draft(vllm: str) -> None:
    query = Query("What is 1 + 1?", Sampling(**GREEDY))
    async with drafting(vllm, "embedded:edge") as engine:
        with pytest.raises(UpstreamError, match="another tokenizer"):
            await engine.generate([query])
    async with drafting(vllm, "embedded:edge", policy="latency") as engine:
        (answer,) = await engine.generate([query])
    assert answer.speculation is not None and answer.speculation.route == "cloud"
    assert "another tokenizer" in answer.speculation.reason


async def test_a_name_that_the_server_has_not_is_told_with_those_it_has(vllm: str) -> None:
    given = {"upstream_model": "other", "retries": 0}
    async with drafting(vllm, "embedded:long-edge", **given) as engine:
        with pytest.raises(UpstreamError, match=r"\(big\); choose one with --upstream_model"):
            await engine.generate([Query("x", Sampling(**GREEDY))])
