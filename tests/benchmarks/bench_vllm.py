"""Requests per second through our predictor's vllm engine and through vLLM's own OpenAI server.

Same model, settings, prompts, answers and concurrency; the two take turns, so that a busy machine
slows both. Answers have 64 tokens, of a copy of a shipped model in which nothing ends them. vLLM's
server is asked twice: for the answer alone, and with the log-probabilities that ours always gives.

`make bench-vllm` runs it in the environment that has vLLM.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pytest

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions
from tests.conftest import StartServer
from tests.predictors.engines.vllm.conftest import write_endless
from tests.predictors.engines.vllm.openai_server import MAX_MODEL_LEN, running

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("vllm") is None, reason="run by make bench-vllm"),
]

CONCURRENCY = 16
REQUESTS = 160
ROUNDS = 5
TOKENS = 64
TARGET = 0.95


@dataclass(frozen=True)
class Way:
    url: str
    bodies: list[dict[str, Any]]

    async def requests_per_second(self) -> float:
        waiting = iter(self.bodies)

        async def ask(session: aiohttp.ClientSession) -> None:
            for body in waiting:
                async with session.post(self.url, json=body) as response:
                    content = await response.read()
                    assert response.status == 200, content

        async with aiohttp.ClientSession() as session:
            await ask_one(session, self)
            began = time.perf_counter()
            await asyncio.gather(*(ask(session) for _ in range(CONCURRENCY)))
            return len(self.bodies) / (time.perf_counter() - began)


async def ask_one(session: aiohttp.ClientSession, way: Way) -> Any:
    async with session.post(way.url, json=way.bodies[0]) as response:
        return await response.json()


def questions() -> list[str]:
    return [question.query for question in test_questions()[:REQUESTS]]


def over_v2(url: str) -> Way:
    parameters = {"max_tokens": TOKENS, "temperature": 0, "repetition_penalty": 1}
    bodies = [text_request([question], parameters) for question in questions()]
    return Way(f"{url}/v2/models/qa/infer", bodies)


def over_openai(url: str, **fields: Any) -> Way:
    bodies = [
        {
            "model": "qa",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": TOKENS,
            "temperature": 0,
            **fields,
        }
        for question in questions()
    ]
    return Way(f"{url}/chat/completions", bodies)


@pytest.fixture(scope="module")
def ways(
    start_server: StartServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Way]]:
    folder: Path = tmp_path_factory.mktemp("bench")
    model_dir = write_endless("embedded:cloud", folder / "model")
    plain, telling = (
        start_server(
            *("predictors", "--model_name", "qa", "--engine", "vllm"),
            *("--model_dir", str(model_dir), "--max_model_len", str(MAX_MODEL_LEN)),
            *("--logprobs", logprobs),
        )
        for logprobs in ("false", "true")
    )
    with running(model_dir, "qa", folder / "log") as url:
        for ours in (plain, telling):
            ours.wait_ready("/v2/models/qa/ready", timeout=600)
        yield {
            "predictor": over_v2(plain.url),
            "predictor_with_logprobs": over_v2(telling.url),
            "vllm": over_openai(url),
            "vllm_with_logprobs": over_openai(url, logprobs=True, top_logprobs=2),
        }


async def test_requests_per_second_beside_vllms_own_server(ways: dict[str, Way]) -> None:
    async with aiohttp.ClientSession() as session:
        mine = await ask_one(session, ways["predictor"])
        theirs = await ask_one(session, ways["vllm"])
    columns = {output["name"]: output["data"] for output in mine["outputs"]}
    assert columns["completion_tokens"] == [theirs["usage"]["completion_tokens"]] == [TOKENS]
    assert columns["text_output"] == [theirs["choices"][0]["message"]["content"]]
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            rates[name].append(await way.requests_per_second())
            print(f"{name}: {rates[name][-1]:.1f} requests/s", flush=True)
    found = {name: round(median(values), 1) for name, values in rates.items()}
    shares = {told: round(_share(rates, told), 3) for told in ("", "_with_logprobs")}
    print(json.dumps({**found, **{f"of_vllm{told}": share for told, share in shares.items()}}))
    assert min(shares.values()) >= TARGET


def _share(rates: dict[str, list[float]], told: str) -> float:
    """Median over rounds of ours / theirs, both telling the same."""
    pairs = zip(rates[f"predictor{told}"], rates[f"vllm{told}"], strict=True)
    return median(ours / theirs for ours, theirs in pairs)
