"""Each algorithm in a HEM process of its own, in its mode, behind the local router's graph."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, ServerProcess, StartServer
from tests.e2e.hem_in_a_graph import Body, start, text, through_the_graph
from tests.e2e.scripted_model import ScriptedModel
from transformers_hem.algorithms.base import Batch, Stage
from transformers_hem.serving.settings import HEMSettings, build_decider

pytestmark = pytest.mark.slow


def image(*pixels: float) -> Body:
    data = [[pixel] for pixel in pixels]
    tensor = {"name": "image", "shape": [len(data), 1], "datatype": "FP32", "data": data}
    return {"inputs": [tensor]}


@dataclass(frozen=True)
class Case:
    stage: Stage
    environment: Mapping[str, str]
    easy: tuple[Body, ...] = ()
    hard: tuple[Body, ...] = ()
    reason: str = "algorithm"
    no_signal: tuple[Body, ...] = ()


def block(name: str, **parameters: object) -> dict[str, str]:
    listed = [{"key": key, "value": str(value)} for key, value in parameters.items()]
    return {"HEM_PARAMETERS": json.dumps({"name": name, "parameters": listed})}


def tossed(environment: Mapping[str, str]) -> dict[str, tuple[Body, ...]]:
    """Queries that this coin sends to either side."""
    decider = build_decider(HEMSettings(parameters=environment["HEM_PARAMETERS"]))
    queries = [f"question {i}" for i in range(12)]
    routes = {query: decider.decide(Batch(1, texts=(query,))).route for query in queries}
    return {
        "easy": tuple(text(query) for query, route in routes.items() if route == "edge")[:2],
        "hard": tuple(text(query) for query, route in routes.items() if route == "cloud")[:2],
    }


SEDNAS_COIN = block("Random", random_ratio=0.5)
IANVS_COIN = block("RandomRouter", threshold=0.4)
FULL_MEMORY = json.dumps(
    [{"name": "ResourceSensitiveRouter", "parameters": {"memory_threshold": "0"}}]
)
CASES = {
    "EdgeOnly": Case("query", {"HEM_ALGORITHM": "EdgeOnly"}, easy=(text("a", "b"),)),
    "CloudOnly": Case("query", {"HEM_ALGORITHM": "CloudOnly"}, hard=(text("a", "b"),)),
    "Random": Case("query", SEDNAS_COIN, **tossed(SEDNAS_COIN)),
    "RandomRouter": Case("query", IANVS_COIN, **tossed(IANVS_COIN)),
    "OracleRouter": Case(
        "query",
        block("OracleRouter", labels=ROOT / "tests/data/labels/few_queries.jsonl"),
        easy=(text("What is 2 + 2?"), text("Which query is a query?")),
        hard=(text("ü"), text("What is 2 + 2?", "ü")),
        no_signal=(text("unheard of"),),
    ),
    "ResourceSensitiveRouter": Case(
        "query",
        {"HEM_ALGORITHM": "EdgeOnly", "HEM_GUARDS": FULL_MEMORY},
        hard=(text("a"),),
        reason="ResourceSensitiveRouter",
    ),
    "Threshold": Case(
        "answer",
        block("Threshold", threshold=0.7),
        easy=(image(0.7), image(0.9, 0.8)),
        hard=(image(0.69), image(0.9, 0.2)),
        no_signal=(image(-0.5), text("no boxes")),
    ),
    "CrossEntropy": Case(
        "answer",
        block("CrossEntropy", threshold_cross_entropy=0.5),
        easy=(image(1.0), image(0.95)),
        hard=(image(0.5), image(1.0, 0.6)),
        no_signal=(image(-0.5), text("no probabilities")),
    ),
    "IBT": Case(
        "answer",
        block("IBT", threshold_box=0.5, threshold_img=0.5),
        easy=(image(0.51), image(0.9, 0.8)),
        hard=(image(0.5), image(0.9, 0.2)),
        no_signal=(image(-0.5), text("no boxes")),
    ),
    "ConfidenceRouter": Case(
        "answer",
        {"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"},
        easy=(text("certain"), text("certain", "quite certain")),
        hard=(text("unsure"), text("certain", "unsure")),
        no_signal=(image(0.9), text("says nothing")),
    ),
    "CombinedRouter": Case(
        "answer",
        {"HEM_ALGORITHM": "CombinedRouter"},
        easy=(text("certain: what is 2 + 3?"),),
        hard=(text("unsure: what is 2 + 3?"), text("certain: what is 2 + 3?", "unsure: why?")),
        no_signal=(image(0.9), text("what is 2 + 3?")),
    ),
    "SelfConsistency": Case(
        "answer",
        block("SelfConsistency", k=3),
        easy=(text("steady"), text("steady", "sure")),
        hard=(text("wavering"), text("steady", "wavering")),
        no_signal=(image(0.9), text("brittle")),
    ),
}


@pytest.fixture(scope="module")
def edge() -> Iterator[ScriptedModel]:
    with ScriptedModel("edge") as model:
        yield model


@pytest.fixture(scope="module")
def cloud() -> Iterator[ScriptedModel]:
    with ScriptedModel("cloud") as model:
        yield model


@pytest.fixture(scope="module")
def servers(start_server: StartServer, edge: ScriptedModel) -> dict[str, ServerProcess]:
    """All start at once: their imports take longer than anything that is tested here."""
    started = {
        name: start(start_server, case.stage, case.environment, edge)
        for name, case in CASES.items()
    }
    for server in started.values():
        server.wait_ready("/v2/health/ready", timeout=180)
    return started


@pytest.mark.parametrize("name", CASES)
async def test_easy_stays_at_the_edge_and_hard_goes_to_the_cloud(
    name: str, servers: dict[str, ServerProcess], edge: ScriptedModel, cloud: ScriptedModel
) -> None:
    case = CASES[name]
    sides = {"edge": case.easy, "cloud": case.hard + case.no_signal}
    for side, bodies in sides.items():
        for body in bodies:
            answered = await through_the_graph(case.stage, servers[name], edge, cloud, body)
            assert answered["parameters"]["served_by"] == side, body


@pytest.mark.parametrize("name", CASES)
async def test_the_decision_says_whose_it_is(
    name: str, servers: dict[str, ServerProcess], edge: ScriptedModel, cloud: ScriptedModel
) -> None:
    """In the answer stage the cloud sees the client's own request, so HEM is asked itself."""
    case = CASES[name]
    model = "qa-hem" if case.stage == "query" else "qa-edge"

    def decided(body: Body) -> dict[str, Any]:
        url = f"{servers[name].url}/v2/models/{model}/infer"
        answered: dict[str, Any] = httpx.post(url, json=body, timeout=20).json()
        return answered["parameters"]

    for body in case.easy + case.hard:
        assert decided(body)["hem_reason"] == case.reason
    for body in case.no_signal:
        parameters = decided(body)
        assert (parameters["hem_route"], parameters["hem_reason"]) == ("cloud", "no_signal")


def test_samples_are_asked_for_in_one_request_that_may_differ(
    servers: dict[str, ServerProcess], edge: ScriptedModel
) -> None:
    url = f"{servers['SelfConsistency'].url}/v2/models/qa-edge/infer"
    edge.requests.clear()
    body = text("steady", "wavering", seed=7, temperature=0, max_tokens=9)
    assert httpx.post(url, json=body, timeout=20).json()["parameters"]["hem_score"] == 1
    first, extra = edge.requests
    assert first["parameters"] == {"seed": 7, "temperature": 0, "max_tokens": 9}
    assert extra["parameters"] == {"temperature": 0.7, "max_tokens": 9}
    assert extra["inputs"][0]["data"] == ["steady"] * 3 + ["wavering"] * 3
    edge.requests.clear()
    httpx.post(url, json=text("wavering", hem_prefer="edge"), timeout=20)
    assert len(edge.requests) == 1


def test_the_caller_overrules_a_guard(servers: dict[str, ServerProcess]) -> None:
    url = f"{servers['ResourceSensitiveRouter'].url}/v2/models/qa-hem/infer"
    parameters = httpx.post(url, json=text("a", hem_prefer="edge"), timeout=20).json()["parameters"]
    assert (parameters["hem_route"], parameters["hem_reason"]) == ("edge", "prefer")
