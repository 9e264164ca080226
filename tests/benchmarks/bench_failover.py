"""What it costs to fail over before the first token, to know that a side is down, and to hedge."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any, Final

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.gateway.scripted_side import (
    Body,
    Side,
    never,
    refused,
    scripted_side,
    streamed,
)

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

ROUNDS: Final = 40
LIMIT: Final = 0.25
HEDGED: Final = 1000
EDGE: Final = streamed("small", "yes")
LATE: Final = "late"


@asynccontextmanager
async def site(
    start_server: StartServer,
    cloud: Callable[[Body], bytes],
    ends: Callable[[Body], bool] = lambda _: True,
    **settings: Any,
) -> AsyncIterator[tuple[httpx.AsyncClient, Side]]:
    """A gateway whose algorithm says cloud, and the edge beside it."""
    async with scripted_side(lambda _: EDGE) as edge, scripted_side(cloud, ends=ends) as far:
        variables = {
            "HEM_ALGORITHM": "CloudOnly",
            "HEM_HOST": "127.0.0.1",
            **{f"HEM_{name.upper()}": str(value) for name, value in settings.items()},
            "HEM_EDGE_URL": f"{edge.url}/v1",
            "HEM_CLOUD_URL": f"{far.url}/v1",
            "HEM_EDGE_MODEL": "m",
            "HEM_CLOUD_MODEL": "m",
        }
        arguments = ("transformers_hem", "--model_name", "qa-hem")
        gateway: ServerProcess = await asyncio.to_thread(
            start_server, *arguments, env=variables, ready="/v2/models/qa-hem/ready"
        )
        async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
            yield client, far


async def first_token(client: httpx.AsyncClient, model: str, query: str = "1 + 1?") -> float:
    began = time.perf_counter()
    body = {"stream": True, "model": model, "messages": [{"role": "user", "content": query}]}
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if "content" in line:
                return time.perf_counter() - began
    raise AssertionError("no token")


async def in_turn(client: httpx.AsyncClient) -> dict[str, float]:
    """Medians in ms, of the edge's own answers and of those that it gives for the cloud."""
    found: dict[str, list[float]] = {"qa-edge": [], "qa": []}
    for _ in range(ROUNDS):
        for model, seconds in found.items():
            seconds.append(await first_token(client, model))
    return {model: round(1000 * median(seconds), 2) for model, seconds in found.items()}


async def test_a_switch_costs_the_time_limit(start_server: StartServer) -> None:
    """At most 5 ms beside it."""
    settings = {"first_token_seconds": LIMIT, "breaker_failures": 0}
    async with site(start_server, lambda _: b"", never, **settings) as (client, _):
        found = await in_turn(client)
    cost = round(found["qa"] - found["qa-edge"] - 1000 * LIMIT, 2)
    print("\n" + json.dumps({"benchmark": "switch", "limit_ms": 1000 * LIMIT, "cost_ms": cost}))
    assert cost < 5.0


async def test_an_open_breaker_adds_nothing(start_server: StartServer) -> None:
    """Half a millisecond is what two ways through the same code may differ by."""
    settings = {"breaker_failures": 1, "breaker_seconds": 60}
    async with site(start_server, lambda _: refused(503), **settings) as (client, cloud):
        await first_token(client, "qa")
        found = await in_turn(client)
        assert len(cloud.asked) == 1
    print("\n" + json.dumps({"benchmark": "open breaker", "first_token_ms": found}))
    assert found["qa"] - found["qa-edge"] < 0.5


async def test_hedging_asks_a_few_twice(start_server: StartServer) -> None:
    """At the 95th percentile at most 6% more calls, and nobody waits for an answer that is late:
    one of the cloud's in 25 never comes."""

    def is_late(body: Body) -> bool:
        return LATE in body["messages"][0]["content"]

    def cloud(body: Body) -> bytes:
        return b"" if is_late(body) else streamed("big", "yes")

    drawn = random.Random(0)
    settings = {"hedge_percentile": 95, "first_token_seconds": 2, "breaker_failures": 0}
    places = asyncio.Semaphore(4)
    seconds: list[float] = []
    async with site(start_server, cloud, lambda b: not is_late(b), **settings) as (client, _):

        async def one(query: str) -> None:
            async with places:
                seconds.append(await first_token(client, "qa", query))

        queries = [LATE if drawn.random() < 0.04 else "1 + 1?" for _ in range(HEDGED)]
        await asyncio.gather(*map(one, queries))
        metrics = (await client.get("/metrics")).text
    lines = [line for line in metrics.splitlines() if line.startswith("hem_attempts_total")]
    calls = sum(float(line.rpartition(" ")[2]) for line in lines)
    seconds.sort()
    report = {
        "benchmark": "hedging",
        "late": queries.count(LATE),
        "calls_a_request": calls / HEDGED,
        "first_token_ms": {s: round(1000 * seconds[HEDGED * s // 1000], 1) for s in (500, 990)},
    }
    print("\n" + json.dumps(report))
    assert calls <= 1.06 * HEDGED
