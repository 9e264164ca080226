"""What the engine openai_api adds to a call: to plain httpx against the same server, in one run."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median

import httpx
import pytest

from predictors.contract import (
    Query,
    Sampling,
    text_request,
)
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.upstream.client import build_client
from predictors.upstream.openai.bodies import request_body
from tests.conftest import ROOT, ServerProcess, StartServer, free_port

pytestmark = pytest.mark.benchmark

ROUNDS, WARM_UP, CONCURRENT, LIMIT_MS = 1000, 200, 500, 1.5
QUERY = Query("What is 2 + 2?", Sampling(temperature=0, repetition_penalty=1))


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.trivial_completions", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}/v1"
    for _ in range(300):
        try:
            httpx.post(f"{url}/chat/completions", json={})
            break
        except httpx.ConnectError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def predictor(start_server: StartServer, upstream: str) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "up", "--engine", "openai_api", "--url", upstream),
        *("--upstream_model", "m", "--repetition_penalty", "1"),
        *("--enable_latency_logging", "false"),
        ready="/v2/models/up/ready",
    )


async def milliseconds(call: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await call()
    return (time.perf_counter() - begin) * 1000


async def test_a_call_costs_little_more_than_by_httpx(
    upstream: str, predictor: ServerProcess
) -> None:
    settings = OpenAIAPISettings(url=upstream, upstream_model="m")
    engine = OpenAIAPIEngine(settings)
    await engine.start()
    body = request_body(QUERY, "m", settings, {})
    v2 = text_request([QUERY.text], {"temperature": 0})
    async with httpx.AsyncClient() as client:

        async def by_httpx() -> None:
            response = await client.post(f"{upstream}/chat/completions", json=body)
            assert response.json()["choices"][0]["message"]["content"] == "Hello!"

        async def by_engine() -> None:
            (answer,) = await engine.generate([QUERY])
            assert answer.text == "Hello!"

        async def by_predictor() -> None:
            response = await client.post(f"{predictor.url}/v2/models/up/infer", json=v2)
            assert response.json()["outputs"][0]["data"] == ["Hello!"]

        calls = {"httpx": by_httpx, "engine": by_engine, "predictor": by_predictor}
        times: dict[str, list[float]] = {name: [] for name in calls}
        for round_ in range(WARM_UP + ROUNDS):
            for name, call in calls.items():
                elapsed = await milliseconds(call)
                if round_ >= WARM_UP:
                    times[name].append(elapsed)
    await engine.close()
    p50 = {name: round(median(values), 3) for name, values in times.items()}
    added = {name: round(p50[name] - p50["httpx"], 3) for name in ("engine", "predictor")}
    print(json.dumps({"benchmark": "openai_api", "p50_ms": p50, "added_p50_ms": added}))
    assert max(added.values()) <= LIMIT_MS


async def test_500_at_once_are_all_answered(predictor: ServerProcess) -> None:
    url = f"{predictor.url}/v2/models/up/infer"
    request = text_request([QUERY.text], {"temperature": 0})
    async with build_client(60) as client:
        begin = time.perf_counter()
        responses = await asyncio.gather(
            *(client.post(url, json=request) for _ in range(CONCURRENT))
        )
        seconds = time.perf_counter() - begin
    rate = round(CONCURRENT / seconds)
    print(json.dumps({"benchmark": "openai_api", "concurrent": CONCURRENT, "per_second": rate}))
    assert {response.status_code for response in responses} == {200}
