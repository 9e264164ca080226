"""What a graph adds: client -> router -> HEM -> router -> edge, over calling the edge directly."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from predictors.contract import text_request
from predictors.embedded.workshop.questions import test_questions
from tests.conftest import ROOT, ServerProcess, StartServer, free_port

pytestmark = pytest.mark.benchmark

ROUNDS = 1000
WARM_UP = 200


class Caller:
    """One connection that is kept; costs the caller as little as Python can."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self._path = path

    def close(self) -> None:
        self._connection.close()

    def milliseconds(self, body: bytes) -> float:
        start = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        elapsed = time.perf_counter() - start
        assert response.status == 200, answer
        return elapsed * 1000


@pytest.fixture(scope="module")
def edge(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("tests.predictors.scripted", "--model_name", "edge", "--engine", "scripted"),
        *("--enable_latency_logging", "false"),
        ready="/v2/models/edge/ready",
    )


@pytest.fixture(scope="module")
def hem(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("transformers_hem", "--model_name", "hem", "--enable_latency_logging", "false"),
        env={"HEM_ALGORITHM": "LinearRouter", "HEM_ROUTER": "embedded:linear"},
        ready="/v2/models/hem/ready",
    )


@pytest.fixture(scope="module")
def router_port(
    hem: ServerProcess, edge: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The query-stage graph, both routes to the scripted edge."""
    from inferencegraph.build.graph import mining_then_inference

    graph = mining_then_inference("x")
    urls = {"x-hem": f"{hem.url}/v2/models/hem/infer"}
    for node in graph["spec"]["nodes"].values():
        for step in node["steps"]:
            if name := step.pop("serviceName", None):
                step["serviceUrl"] = urls.get(name, f"{edge.url}/v2/models/edge/infer")
    path: Path = tmp_path_factory.mktemp("graph") / "graph.json"
    path.write_text(json.dumps(graph))
    port = free_port()
    command = ["-m", "inferencegraph", "router", "--graph", str(path), "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            Caller(port, "/").milliseconds(json.dumps(text_request(["warm"])).encode())
            break
        except OSError:
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait(10)


def test_the_graph_adds_little(edge: ServerProcess, router_port: int, hem: ServerProcess) -> None:
    bodies = [json.dumps(text_request([q.query])).encode() for q in test_questions()]
    callers = {
        "edge": Caller(edge.port, "/v2/models/edge/infer"),
        "hem": Caller(hem.port, "/v2/models/hem/infer"),
        "graph": Caller(router_port, "/"),
    }
    times: dict[str, list[float]] = {name: [] for name in callers}
    for round_ in range(WARM_UP + ROUNDS):
        for name, caller in callers.items():
            elapsed = caller.milliseconds(bodies[round_ % len(bodies)])
            if round_ >= WARM_UP:
                times[name].append(elapsed)
    for caller in callers.values():
        caller.close()
    p50 = {name: round(median(values), 3) for name, values in times.items()}
    added = round(p50["graph"] - p50["edge"], 3)
    print(json.dumps({"benchmark": "graph", "p50_ms": p50, "added_p50_ms": added}))
    assert added <= 2.0
