"""The answer-generation example with triton on one side: a Triton beside the predictor answers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.ask import error_text
from inferencegraph.local.manifests import MANIFESTS
from predictors.embedded.questions import test_questions as shipped_questions
from predictors.protocol import CLOUD, EDGE, HEM_ROUTE, SERVED_BY
from predictors.triton_models.repository import write_repository
from tests.inferencegraph.running_hem import RunningHem

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

EXAMPLE = Path("answer-generation") / "mining-then-inference"
QUESTIONS = [question.query for question in shipped_questions()[:40]]
TRITON = {
    "name": "triton",
    "image": "nvcr.io/nvidia/tritonserver:25.10-py3",
    "args": ["--model-repository=/mnt/models", "--http-port=8000", "--grpc-port=8001"],
    "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": 8000}},
}


def with_triton(side: str, into: Path) -> Path:
    """The example whose `side` is our predictor with the engine triton, and a Triton in its pod."""
    shutil.copytree(MANIFESTS, into, ignore=shutil.ignore_patterns("__pycache__"))
    write_repository(into / "models", {f"qa-{side}": f"embedded:{side}"})
    manifest = into / EXAMPLE / f"{side}.yaml"
    service: dict[str, Any] = yaml.safe_load(manifest.read_text())
    containers = service["spec"]["predictor"]["containers"]
    containers[0]["args"] = [
        *(f"--model_name=qa-{side}", "--engine=triton"),
        *("--url=localhost:8001", f"--upstream_model=qa-{side}"),
    ]
    storage = {"name": "STORAGE_URI", "value": f"file://{into / 'models'}"}
    containers.append(TRITON | {"env": [storage]})
    manifest.write_text(yaml.safe_dump(service))
    return into / EXAMPLE


def answers(hem: RunningHem) -> list[tuple[str, str, str]]:
    """(route, model, answer) of each question."""
    found = []
    for question in QUESTIONS:
        response = hem.ask(question)
        assert response.status_code == 200, error_text(response)
        body = response.json()
        (text,) = next(out["data"] for out in body["outputs"] if out["name"] == "text_output")
        said = body["parameters"]
        found.append((said[HEM_ROUTE], said[SERVED_BY], text))
    return found


@pytest.fixture(scope="module")
def as_shipped() -> list[tuple[str, str, str]]:
    with RunningHem(["-f", str(MANIFESTS / EXAMPLE)], timeout=300) as hem:
        return answers(hem)


@pytest.mark.parametrize("side", [EDGE, CLOUD])
def test_the_example_answers_as_before_with_triton_on_one_side(
    side: str, as_shipped: list[tuple[str, str, str]], tmp_path: Path
) -> None:
    assert {route for route, *_ in as_shipped} == {EDGE, CLOUD}
    with RunningHem(["-f", str(with_triton(side, tmp_path / "manifests"))], timeout=300) as hem:
        assert any(p.name() == "tritonserver" for p in hem.family())
        assert answers(hem) == as_shipped
