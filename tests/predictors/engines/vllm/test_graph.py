"""The answer-generation example with vLLM on one side: in the predictor's own process, where one
value of its manifest changes, or in vLLM's own server behind the engine openai_api."""

import shutil
from pathlib import Path

import pytest

from inferencegraph.ask import error_text
from inferencegraph.local.manifests import MANIFESTS
from predictors.embedded import directory
from predictors.embedded.questions import test_questions as shipped_questions
from predictors.protocol import CLOUD, EDGE, HEM_ROUTE
from tests.inferencegraph.running_hem import RunningHem
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]

EXAMPLE = Path("answer-generation") / "mining-then-inference"
QUESTIONS = [question.query for question in shipped_questions()[:40]]


def changed(side: str, into: Path, values: dict[str, str]) -> Path:
    """The example with other values in one side's manifest."""
    shutil.copytree(MANIFESTS, into, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = into / EXAMPLE / f"{side}.yaml"
    text = manifest.read_text()
    for old, new in values.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    manifest.write_text(text)
    return into / EXAMPLE


def answers(hem: RunningHem) -> list[tuple[str, str]]:
    """(route, answer) of each question."""
    found = []
    for question in QUESTIONS:
        response = hem.ask(question)
        assert response.status_code == 200, error_text(response)
        body = response.json()
        (text,) = next(out["data"] for out in body["outputs"] if out["name"] == "text_output")
        found.append((body["parameters"][HEM_ROUTE], text))
    return found


@pytest.fixture(scope="module")
def as_shipped() -> list[tuple[str, str]]:
    with RunningHem(["-f", str(MANIFESTS / EXAMPLE)], timeout=300) as hem:
        return answers(hem)


@pytest.mark.parametrize("side", [EDGE, CLOUD])
def test_the_example_answers_as_before_with_vllm_on_one_side(
    side: str, as_shipped: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert {route for route, _ in as_shipped} == {EDGE, CLOUD}
    example = changed(side, tmp_path / "manifests", {"--engine=huggingface": "--engine=vllm"})
    with RunningHem(["-f", str(example)], timeout=800) as hem:
        assert any("EngineCore" in " ".join(p.cmdline()) for p in hem.family())
        assert answers(hem) == as_shipped


@pytest.mark.parametrize("side", [EDGE, CLOUD])
def test_the_example_answers_as_before_with_an_openai_server_behind_one_side(
    side: str, as_shipped: list[tuple[str, str]], tmp_path: Path
) -> None:
    model = f"embedded:{side}"
    with running(directory(model), model, tmp_path / "log", "--enforce-eager") as url:
        values = {
            "--engine=huggingface": "--engine=openai_api",
            f"--model_dir={model}": f"--url={url}",
        }
        example = changed(side, tmp_path / "manifests", values)
        with RunningHem(["-f", str(example)], timeout=300) as hem:
            assert answers(hem) == as_shipped
