"""What the egress ledger costs a request, and an uplink: with and without one, in turns."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx
import psutil
import pytest

from predictors.contract import text_request
from predictors.upstream.client import forwarded_headers
from predictors.upstream.ledger.decision import decided
from predictors.upstream.ledger.egress import Egress
from predictors.upstream.ledger.signing import Signer
from predictors.upstream.ledger.verify import verify
from predictors.upstream.settings import Limits
from tests.benchmarks.bench_openai_api import upstream  # noqa: F401 - a fixture
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.ledger.test_signing import new_key

pytestmark = pytest.mark.benchmark

ATTEMPTS, ROUNDS, REQUESTS, CALLERS = 5000, 10, 300, 32
LIMIT_MS, LEAST_RATIO = 0.1, 0.97
MINED = {"hem_route": "cloud", "hem_reason": "algorithm", "hem_score": 0.8}


@pytest.mark.parametrize(("size", "signed"), [(2_000, False), (20_000, False), (2_000, True)])
def test_two_lines_cost_a_request_a_tenth_of_a_millisecond(
    size: int, signed: bool, tmp_path: Path
) -> None:
    key = str(new_key(tmp_path)) if signed else ""
    limits = Limits(ledger=str(tmp_path / "egress.jsonl"), ledger_key=key)
    egress, body = Egress(limits), b"x" * size
    taken = []
    with forwarded_headers({"x-request-id": "r" * 36}), decided(MINED):
        for _ in range(ATTEMPTS):
            begin = time.perf_counter()
            with egress.attempt("https://api.example/v1/chat", "POST", body, {}) as sent:
                sent.status = 200
            taken.append((time.perf_counter() - begin) * 1000)
    egress.close()
    name = f"{size} bytes{', signed' if signed else ''}"
    print(f"\n{name}: median {median(taken):.4f} ms, p99 {sorted(taken)[-50]:.4f} ms")
    assert median(taken) < LIMIT_MS


def test_a_signature_is_made_once_a_minute_and_takes_no_longer_than_a_line(tmp_path: Path) -> None:
    signer, taken = Signer(new_key(tmp_path)), []
    line = {"n": 1, "prev": "0" * 64, "at": "2026-11-29T12:00:00.000Z", "kind": "sign"}
    for _ in range(ATTEMPTS):
        begin = time.perf_counter()
        signer.signed(line)
        taken.append((time.perf_counter() - begin) * 1000)
    print(f"\na signature: median {median(taken):.4f} ms")
    assert median(taken) < LIMIT_MS


@pytest.fixture(scope="module")
def uplinks(
    start_server: StartServer,
    upstream: str,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServerProcess, ServerProcess, Path]]:
    path = tmp_path_factory.mktemp("ledger") / "egress.jsonl"
    given = ["--model_name", "up", "--engine", "openai_api", "--url", upstream]
    given += ["--upstream_model", "m", "--enable_latency_logging", "false"]
    ready = "/v2/models/up/ready"
    without = start_server("predictors", *given, ready=ready)
    yield without, start_server("predictors", *given, "--ledger", str(path), ready=ready), path


def cpu_seconds(server: ServerProcess) -> float:
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


async def seconds(client: httpx.AsyncClient, url: str) -> float:
    body = text_request(["What is 2 + 2?"], MINED)
    left = REQUESTS

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            (await client.post(f"{url}/v2/models/up/infer", json=body)).raise_for_status()

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - begin


async def test_an_uplink_answers_as_many_requests(
    uplinks: tuple[ServerProcess, ServerProcess, Path],
) -> None:
    without, with_ledger, path = uplinks
    ratios = []
    before = {server: cpu_seconds(server) for server in (without, with_ledger)}
    async with httpx.AsyncClient(timeout=30) as client:
        for number in range(ROUNDS + 2):
            order = (without, with_ledger) if number % 2 else (with_ledger, without)
            taken = {server: await seconds(client, server.url) for server in order}
            ratios.append(taken[without] / taken[with_ledger])
    spent = {server: cpu_seconds(server) - before[server] for server in before}
    a_request = 1e6 / (REQUESTS * (ROUNDS + 2))
    for server, name in ((without, "without"), (with_ledger, "with")):
        print(f"\nCPU of an uplink {name} a ledger: {spent[server] * a_request:.0f} us a request")
    print(f"\nthroughput with the ledger: {median(ratios[2:]):.3f} of that without")
    assert verify(path).lines > 2 * ROUNDS * REQUESTS
    assert median(ratios[2:]) > LEAST_RATIO
