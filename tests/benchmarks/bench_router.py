"""What the local router costs: a graph of two steps over services that cost nothing."""

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import quantiles

import httpx
import pytest

from inferencegraph.build.graph import mining_then_inference
from predictors.upstream.client import build_client
from tests.benchmarks.trivial_upstream import BODY
from tests.conftest import ROOT, free_port

pytestmark = pytest.mark.benchmark

ROUNDS = 2000
WARM_UP = 200
CONCURRENCY = 32
SECONDS = 4.0
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The service itself ("direct") and the query-stage graph over it."""
    ports = {"direct": free_port(), "graph": free_port()}
    path = tmp_path_factory.mktemp("graph") / "graph.json"
    path.write_text(json.dumps(graph_over(f"http://127.0.0.1:{ports['direct']}/infer")))
    router = ["inferencegraph", "router", "--graph", str(path), "--port", str(ports["graph"])]
    commands = [["tests.benchmarks.trivial_upstream", str(ports["direct"])], router]
    processes = [subprocess.Popen([sys.executable, "-m", *part], cwd=ROOT) for part in commands]
    for port in ports.values():
        until_ready(f"http://127.0.0.1:{port}/readyz")
    yield ports
    for process in processes:
        process.terminate()
        process.wait(10)


def graph_over(url: str) -> dict[str, object]:
    graph = mining_then_inference("x")
    for node in graph["spec"]["nodes"].values():
        for step in node["steps"]:
            if step.pop("serviceName", None):
                step["serviceUrl"] = url
    return graph


def until_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


def caller(connection: http.client.HTTPConnection) -> Callable[[], float]:
    """A call gives its milliseconds."""

    def call() -> float:
        began = time.perf_counter()
        connection.request("POST", "/", BODY, JSON)
        response = connection.getresponse()
        answer = response.read()
        assert (response.status, answer) == (200, BODY)
        return (time.perf_counter() - began) * 1000

    return call


async def requests_per_second(port: int) -> float:
    url, done = f"http://127.0.0.1:{port}/", 0

    async def work(client: httpx.AsyncClient, end: float) -> None:
        nonlocal done
        while time.perf_counter() < end:
            (await client.post(url, content=BODY, headers=JSON)).raise_for_status()
            done += 1

    async with build_client(10) as client:
        began = time.perf_counter()
        await asyncio.gather(*(work(client, began + SECONDS) for _ in range(CONCURRENCY)))
        return done / (time.perf_counter() - began)


def test_two_steps_cost_little_more_than_their_calls(ports: dict[str, int]) -> None:
    times: dict[str, list[float]] = {name: [] for name in ports}
    with contextlib.ExitStack() as stack:
        callers = {}
        for name, port in ports.items():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            callers[name] = caller(stack.enter_context(contextlib.closing(connection)))
        for round_ in range(WARM_UP + ROUNDS):
            for name, call in callers.items():
                elapsed = call()
                if round_ >= WARM_UP:
                    times[name].append(elapsed)
    rates = {name: round(asyncio.run(requests_per_second(port))) for name, port in ports.items()}
    row = {
        "benchmark": "router: two steps over trivial services",
        "p10_ms": percentile(times, 10),
        "p50_ms": percentile(times, 50),
        "p99_ms": percentile(times, 99),
        f"requests_per_second_at_{CONCURRENCY}": rates,
    }
    print(json.dumps(row))
    # Not the p50: where other programs want the processors, that measures them.
    quick = percentile(times, 10)
    assert quick["graph"] - 2 * quick["direct"] <= 1.0


def percentile(times: dict[str, list[float]], percent: int) -> dict[str, float]:
    return {n: round(quantiles(values, n=100)[percent - 1], 3) for n, values in times.items()}
