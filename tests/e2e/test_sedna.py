"""Code written for Sedna's SDK, unchanged, answers joint queries through HEM in both modes: its
Estimator at the edge, and a worker that speaks as Sedna's BigModelService in the cloud."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from predictors.contract import SERVED_BY
from predictors.engines.sedna.estimator import loaded
from tests.conftest import ROOT, ServerProcess, StartServer
from tests.e2e.hem_in_a_graph import Body, Served, start, text, through_the_graph
from tests.predictors.engines.sedna.big_model_service import BigModelServer
from transformers_hem.algorithms.base import Stage

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "tests/data/sedna"


@dataclass(frozen=True)
class Pair:
    stage: Stage
    little: tuple[str, ...]
    big: str
    result: str
    mining: Mapping[str, object]
    easy: tuple[Body, list[Any]]
    hard: tuple[Body, list[Any]]


def image(brightness: int) -> Body:
    data = [brightness] * (2 * 4 * 3)
    tensor = {"name": "image", "shape": [1, 2, 4, 3], "datatype": "UINT8", "data": data}
    return {"inputs": [tensor]}


def block(name: str, **parameters: object) -> Mapping[str, object]:
    listed = [{"key": key, "value": str(value)} for key, value in parameters.items()]
    return {"name": name, "parameters": listed}


PAIRS = {
    "answers": Pair(
        stage="query",
        little=("answers/little_model/interface.py", "answers/little_model/phrase.txt"),
        big="answers/big_model/big_model.py",
        result="text",
        mining=block("OracleRouter", labels=ROOT / "tests/data/labels/few_queries.jsonl"),
        easy=(text("What is 2 + 2?"), ["the little model says What is 2 + 2?!"]),
        hard=(text("ü"), ["Ü"]),
    ),
    "helmets": Pair(
        stage="answer",
        little=("helmets/little_model/detector.py", ""),
        big="helmets/big_model/detector.py",
        result="boxes",
        mining=block("IBT", threshold_box=0.9, threshold_img=0.9),
        easy=(image(255), [0, 0, 4, 2, 1, 1]),
        hard=(image(51), [0, 0, 4, 2, 0.99, 2, 0, 0, 1, 1, 0.98, 3]),
    ),
}


@dataclass(frozen=True)
class Site:
    pair: Pair
    hem: ServerProcess
    edge: Served
    uplink: Served

    async def ask(self, body: Body) -> tuple[str, list[Any]]:
        """(the model that answered, the data of its first output)."""
        pair = self.pair
        answer = await through_the_graph(pair.stage, self.hem, self.edge, self.uplink, body)
        return answer["parameters"][SERVED_BY], answer["outputs"][0]["data"]


@pytest.fixture(scope="module", params=PAIRS)
def site(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[Site]:
    pair = PAIRS[request.param]
    program, model = (str(EXAMPLES / path) if path else "" for path in pair.little)
    with BigModelServer(loaded(f"{EXAMPLES / pair.big}:Estimator", "", {})) as big:
        edge = start_server(
            "predictors",
            *("--model_name", "qa-edge", "--engine", "sedna", "--result", pair.result),
            *("--estimator", f"{program}:Estimator"),
            env={"MODEL_URL": model, "punctuation": "!"},
            ready="/v2/models/qa-edge/ready",
        )
        uplink = start_server(
            "predictors",
            *("--model_name", "qa-uplink", "--engine", "sedna_worker", "--result", pair.result),
            env={"BIG_MODEL_IP": "127.0.0.1", "BIG_MODEL_PORT": str(big.server_address[1])},
            ready="/v2/models/qa-uplink/ready",
        )
        environment = {"HEM_PARAMETERS": json.dumps(pair.mining)}
        hem = start(start_server, pair.stage, environment, edge)
        hem.wait_ready("/v2/health/ready")
        yield Site(pair, hem, edge, uplink)


async def test_an_easy_input_is_the_little_models(site: Site) -> None:
    body, expected = site.pair.easy
    served_by, data = await site.ask(body)
    assert served_by == "qa-edge"
    assert data == (pytest.approx(expected) if site.pair.result == "boxes" else expected)


async def test_a_hard_input_is_the_big_models(site: Site) -> None:
    body, expected = site.pair.hard
    served_by, data = await site.ask(body)
    assert served_by == "qa-uplink"
    assert data == (pytest.approx(expected) if site.pair.result == "boxes" else expected)
