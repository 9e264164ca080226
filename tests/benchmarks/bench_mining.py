"""What mining costs: the mine step beside a trivial kserve model, and the decision alone."""

import asyncio
import json
import re
import time
from statistics import median

import httpx
import orjson
import pytest

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions
from predictors.upstream.client import build_client
from tests.conftest import ServerProcess, StartServer

pytestmark = pytest.mark.benchmark

CONCURRENCY = 16
SECONDS = 2.0
ROUNDS = 5


@pytest.fixture(scope="module")
def servers(start_server: StartServer) -> dict[str, ServerProcess]:
    quiet = ("--model_name", "m", "--enable_latency_logging", "false")
    modules = {"trivial": "tests.benchmarks.trivial_model", "mine": "transformers_hem"}
    started = {name: start_server(module, *quiet) for name, module in modules.items()}
    for server in started.values():
        server.wait_ready("/v2/models/m/ready")
    return started


async def requests_per_second(client: httpx.AsyncClient, url: str, bodies: list[bytes]) -> float:
    done = 0
    started = time.perf_counter()

    async def ask(first: int) -> None:
        nonlocal done
        while time.perf_counter() < started + SECONDS:
            body = bodies[(first + done) % len(bodies)]
            headers = {"content-type": "application/json"}
            assert (await client.post(url, content=body, headers=headers)).status_code == 200
            done += 1

    await asyncio.gather(*(ask(each) for each in range(CONCURRENCY)))
    return done / (time.perf_counter() - started)


async def test_the_mine_step_keeps_up_with_a_trivial_model(
    servers: dict[str, ServerProcess],
) -> None:
    bodies = [orjson.dumps(text_request([q.query], id=q.id)) for q in test_questions()]
    rates: dict[str, list[float]] = {name: [] for name in servers}
    async with build_client(10) as client:
        for _ in range(ROUNDS):
            for name, server in servers.items():
                url = f"{server.url}/v2/models/m/infer"
                rates[name].append(await requests_per_second(client, url, bodies))
    rps = {name: round(median(values)) for name, values in rates.items()}
    ratio = round(rps["mine"] / rps["trivial"], 2)
    decision = median(decision_milliseconds(servers["mine"]))
    print(
        json.dumps({"benchmark": "mine", "rps": rps, "ratio": ratio, "decision_p50_ms": decision})
    )
    assert ratio >= 0.55
    assert decision <= 0.25


def decision_milliseconds(hem: ServerProcess) -> list[float]:
    """As the server itself logged them, under that load."""
    return [float(ms) for ms in re.findall(r"decision id=.* ms=([\d.]+)", hem.log.read_text())]
