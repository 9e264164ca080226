"""Our engine huggingface against KServe's own huggingfaceserver, Hugging Face back end, same model.

KServe's server is on no package index; README of docs/engines/huggingface.md says how to install it
into `.venv-huggingfaceserver`. Both servers are asked for greedy answers of the same length, first
one and then the other in each round, by the same client.
"""

import asyncio
import json
import os
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import httpx
import pytest

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions
from tests.benchmarks.bench_huggingface import LONG_TOKENS, endless
from tests.conftest import ROOT, StartServer, free_port

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

PYTHON = ROOT / ".venv-huggingfaceserver/bin/python"
QUERIES = [question.query for question in test_questions()[:16]]
ROUNDS = 3
AT_LEAST = {1: 1.0, 16: 3.0}  # times their tokens/s
START_SECONDS = 600
STREAMED_AT_LEAST = 0.95  # of the tokens/s of whole answers

TEXT = re.compile(r'"content": ?"[^"]')  # of an event: more than a role
Ask = Callable[[httpx.AsyncClient, str], Awaitable[int]]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return endless("cloud", tmp_path_factory.mktemp("endless") / "cloud")


@pytest.fixture(scope="module")
def theirs(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    probe = [PYTHON, "-c", "import importlib.util as u; assert u.find_spec('huggingfaceserver')"]
    if not PYTHON.exists() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("KServe's huggingfaceserver is not in .venv-huggingfaceserver")
    port = free_port()
    log = tmp_path_factory.mktemp("theirs") / "log"
    options = [
        *("--backend=huggingface", f"--model_dir={model_dir}", "--model_name=m"),
        *("--task=text_generation", "--dtype=float32", "--enable_grpc=false"),
        f"--http_port={port}",
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PYTHON, "-m", "huggingfaceserver", *options],
            stdout=out,
            stderr=out,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/v1/models/m", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise AssertionError(f"huggingfaceserver is not ready:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def ours(model_dir: Path, start_server: StartServer) -> str:
    server = start_server(
        *("predictors", "--model_name", "m", "--model_dir", str(model_dir), "--threads", "1")
    )
    server.wait_ready("/v2/models/m/ready", START_SECONDS)
    return server.url


async def ask_theirs(client: httpx.AsyncClient, query: str) -> int:
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": query}],
        "max_tokens": LONG_TOKENS,
        "temperature": 0,
    }
    response = await client.post("/openai/v1/chat/completions", json=body)
    response.raise_for_status()
    return int(response.json()["usage"]["completion_tokens"])


async def ask_ours(client: httpx.AsyncClient, query: str) -> int:
    parameters = {"max_tokens": LONG_TOKENS, "temperature": 0, "repetition_penalty": 1}
    body = text_request([query], parameters)
    response = await client.post("/v2/models/m/infer", json=body)
    response.raise_for_status()
    columns = {output["name"]: output["data"] for output in response.json()["outputs"]}
    return int(columns["completion_tokens"][0])


async def stream(client: httpx.AsyncClient, query: str, **fields: Any) -> float:
    """Seconds to the first text of a chat."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": query}],
        "max_tokens": LONG_TOKENS,
        "temperature": 0,
        "stream": True,
        **fields,
    }
    began, first = time.perf_counter(), 0.0
    async with client.stream("POST", "/openai/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not first and TEXT.search(line):
                first = time.perf_counter() - began
    assert first
    return first


async def first_tokens(url: str, concurrency: int, **fields: Any) -> list[float]:
    waiting = iter(QUERIES)

    async def worker(client: httpx.AsyncClient) -> list[float]:
        return [await stream(client, query, **fields) for query in waiting]

    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        await stream(client, QUERIES[0], **fields)
        found = await asyncio.gather(*(worker(client) for _ in range(concurrency)))
    return [seconds for each in found for seconds in each]


async def tokens_per_second(url: str, ask: Ask, concurrency: int) -> float:
    waiting = iter(QUERIES)

    async def worker(client: httpx.AsyncClient) -> int:
        return sum([await ask(client, query) for query in waiting])

    async with httpx.AsyncClient(base_url=url, timeout=300) as client:
        await ask(client, QUERIES[0])
        begin = time.perf_counter()
        tokens = await asyncio.gather(*(worker(client) for _ in range(concurrency)))
        return sum(tokens) / (time.perf_counter() - begin)


@pytest.mark.parametrize("concurrency", AT_LEAST)
async def test_tokens_per_second_beside_kserves_own_server(
    ours: str, theirs: str, concurrency: int
) -> None:
    rates: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        one = await tokens_per_second(ours, ask_ours, concurrency)
        rates.append((one, await tokens_per_second(theirs, ask_theirs, concurrency)))
    row = {
        "concurrency": concurrency,
        "ours": round(median(one for one, _ in rates)),
        "huggingfaceserver": round(median(other for _, other in rates)),
        "ratio": round(median(one / other for one, other in rates), 2),
    }
    print(json.dumps({"benchmark": "huggingfaceserver", **row}))
    assert row["ratio"] >= AT_LEAST[concurrency]


async def chats(url: str, streamed: bool) -> float:
    """Seconds of 64 chats, 16 at a time, by a client that costs little."""
    body = {"model": "m", "max_tokens": LONG_TOKENS, "temperature": 0, "repetition_penalty": 1}
    waiting = iter(QUERIES * 4)

    async def worker(session: aiohttp.ClientSession) -> None:
        for query in waiting:
            asked = {**body, "messages": [{"role": "user", "content": query}], "stream": streamed}
            async with session.post(f"{url}/openai/v1/chat/completions", json=asked) as answer:
                assert answer.status == 200
                await answer.read()

    async with aiohttp.ClientSession() as session:
        begin = time.perf_counter()
        await asyncio.gather(*(worker(session) for _ in range(16)))
        return time.perf_counter() - begin


async def test_streams_of_sixteen_callers_beside_whole_answers(ours: str) -> None:
    seconds: list[tuple[float, float]] = []
    for _ in range(2 * ROUNDS):
        streamed = await chats(ours, streamed=True)
        seconds.append((streamed, await chats(ours, streamed=False)))
    tokens = 4 * len(QUERIES) * LONG_TOKENS
    row = {
        "streamed": round(tokens / median(streamed for streamed, _ in seconds)),
        "whole": round(tokens / median(whole for _, whole in seconds)),
        "ratio": round(median(whole / streamed for streamed, whole in seconds), 2),
    }
    print(json.dumps({"benchmark": "huggingface streaming, 16 callers, tokens/s", **row}))
    assert row["ratio"] >= STREAMED_AT_LEAST


@pytest.mark.parametrize("concurrency", AT_LEAST)
async def test_first_token_beside_kserves_own_server(
    ours: str, theirs: str, concurrency: int
) -> None:
    seconds: dict[str, list[float]] = {"ours": [], "huggingfaceserver": []}
    for _ in range(ROUNDS):
        seconds["ours"] += await first_tokens(ours, concurrency, repetition_penalty=1)
        seconds["huggingfaceserver"] += await first_tokens(theirs, concurrency)
    row = {name: round(1000 * median(values), 1) for name, values in seconds.items()}
    print(json.dumps({"benchmark": "first token, ms", "concurrency": concurrency, **row}))
    assert row["ours"] <= row["huggingfaceserver"]
