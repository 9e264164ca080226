"""The answers of each server, read into text, counts and telemetry.

The files in tests/data/openai_api are written by hand, with short answers; none is a recording.
Fields and nesting follow, of sglang and lmdeploy their protocol.py, of ollama its openai.go, of
llama.cpp its server's tests, and of OpenAI and vLLM the API as it is commonly known; the engine
is tested against a running vLLM server besides.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from math import exp
from pathlib import Path

import pytest
from pytest import approx

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from tests.conftest import ROOT
from tests.predictors.engines.answering import answering

DATA = ROOT / "tests" / "data" / "openai_api"
WITHOUT_LOGPROBS = {"ollama_chat", "ollama_completions", "lmdeploy_completions"}

Read = Callable[[Path], Awaitable[Answer]]


@pytest.fixture
async def read() -> AsyncIterator[Read]:
    async def ask(path: Path) -> Answer:
        stream = path.suffix == ".sse"
        kind = "text/event-stream" if stream else "application/json"
        async with answering(path.read_bytes(), kind) as url:
            api = path.stem.split("_")[1]
            settings = OpenAIAPISettings(url=url, upstream_model="m", api=api, stream=stream)
            engine = OpenAIAPIEngine(settings)
            await engine.start()
            try:
                (answer,) = await engine.generate([Query("Hi", Sampling(repetition_penalty=1))])
            finally:
                await engine.close()
        return answer

    yield ask


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
async def test_text_counts_and_telemetry(read: Read, path: Path) -> None:
    answer = await read(path)
    assert answer.text == "Hello!"
    assert answer.completion_tokens == 2
    assert answer.prompt_tokens and answer.prompt_tokens > 0
    assert answer.served_by not in (None, "m")
    if path.stem in WITHOUT_LOGPROBS:
        assert (answer.mean_logprob, answer.min_logprob, answer.mean_margin) == (None, None, None)
        return
    first = -1.75 if path.name == "vllm_completions.json" else -0.25
    assert answer.min_logprob == first
    assert answer.mean_logprob == approx((first - 0.05) / 2)
    assert answer.mean_margin == approx((exp(-0.25) - exp(-1.75) + exp(-0.05) - exp(-3.5)) / 2)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.sse")), ids=lambda path: path.name)
async def test_a_stream_tells_latencies(read: Read, path: Path) -> None:
    answer = await read(path)
    assert answer.time_to_first_token is not None and answer.time_to_first_token > 0
    assert answer.inter_token_latency is not None and answer.inter_token_latency >= 0


@pytest.mark.parametrize("path", sorted(DATA.glob("*.json")), ids=lambda path: path.name)
async def test_a_whole_answer_tells_no_latencies(read: Read, path: Path) -> None:
    answer = await read(path)
    assert (answer.time_to_first_token, answer.inter_token_latency) == (None, None)
