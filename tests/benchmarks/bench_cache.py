"""What a hit costs inside the predictor: from the query to its answer, and over HTTP beside a miss.

Inside means what the engine takes, `time_to_first_token` of the answer and the call itself; HTTP,
JSON and kserve's own work come on top, the same for hits and misses.
"""

import json
import time
from pathlib import Path
from statistics import median

import httpx
import pytest

from predictors.cache import CacheSettings, with_cache
from predictors.contract import (
    Answer,
    Query,
    Sampling,
    text_request,
)
from predictors.engines.base import TextEngine
from predictors.settings import EngineSettings
from tests.conftest import StartServer

pytestmark = pytest.mark.benchmark

ENTRIES = 2_000
CALLS = 2_000
GREEDY = Sampling(temperature=0.0)
MOST_SECONDS = 0.001


class EchoEngine(TextEngine):
    async def start(self) -> None:
        return None

    async def generate(self, queries: list[Query]) -> list[Answer]:
        return [Answer(query.text * 5, 10, 50, 0.1, 0.01, -0.5, -1.5, 0.2) for query in queries]


@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_a_hit_takes_a_millisecond_at_most_inside_the_predictor(
    place: str, tmp_path: Path
) -> None:
    cache = "memory" if place == "memory" else str(tmp_path / "m.cache")
    engine = with_cache(
        EchoEngine(EngineSettings()), CacheSettings(cache=cache), "m", "echo", GREEDY
    )
    assert isinstance(engine, TextEngine)
    await engine.start()
    queries = [Query(f"question number {n}, of some length " * 4, GREEDY) for n in range(ENTRIES)]
    for start in range(0, ENTRIES, 100):
        await engine.generate(queries[start : start + 100])
    calls, reported = [], []
    for number in range(CALLS):
        begin = time.perf_counter()
        (answer,) = await engine.generate([queries[number % ENTRIES]])
        calls.append(time.perf_counter() - begin)
        assert answer.cached
        reported.append(answer.time_to_first_token or 0.0)
    await engine.close()
    row = {
        "hit_p50_us": round(1e6 * median(calls)),
        "hit_p99_us": round(1e6 * sorted(calls)[int(CALLS * 0.99)]),
        "reported_p50_us": round(1e6 * median(reported)),
    }
    print(json.dumps({"benchmark": "cache", "place": place, "entries": ENTRIES, **row}))
    assert median(calls) <= MOST_SECONDS


def test_a_hit_over_http_beside_the_embedded_model(start_server: StartServer) -> None:
    server = start_server(
        *("predictors", "--model_name", "m", "--model_dir", "embedded:edge", "--cache", "memory"),
        env={"PREDICTOR_TEMPERATURE": "0"},
        ready="/v2/models/m/ready",
    )
    misses, hits, inside = [], [], []
    with httpx.Client(base_url=server.url) as client:
        for number in range(100):
            body = text_request([f"What is {number} + 7?"])
            for seconds in (misses, hits):
                begin = time.perf_counter()
                response = client.post("/v2/models/m/infer", json=body).json()
                seconds.append(time.perf_counter() - begin)
            columns = {output["name"]: output["data"] for output in response["outputs"]}
            assert response["parameters"]["cached"] is True
            inside.append(columns["time_to_first_token"][0])
    row = {
        "miss_p50_ms": round(1e3 * median(misses), 2),
        "hit_p50_ms": round(1e3 * median(hits), 2),
        "hit_inside_p50_ms": round(1e3 * median(inside), 3),
    }
    print(json.dumps({"benchmark": "cache", "place": "http", **row}))
    assert median(inside) <= MOST_SECONDS
