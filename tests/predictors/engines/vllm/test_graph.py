"""The answer-generation example with vLLM on one side, one value of that side's model: in the
predictor's own process, or in vLLM's own server behind the engine openai_api."""

from pathlib import Path

import pytest

from inferencegraph.build.mining import ANSWER_STAGE, QUERY_STAGE
from predictors.contract import CLOUD, EDGE
from predictors.embedded import directory
from tests.inferencegraph.running_hem import RunningHem
from tests.predictors.engines.answer_generation import answers, as_shipped, written
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("mode", "side", "engine"),
    [
        (QUERY_STAGE, EDGE, "vllm"),
        (QUERY_STAGE, CLOUD, "vllm"),
        (QUERY_STAGE, EDGE, "openai_api"),
        (QUERY_STAGE, CLOUD, "openai_api"),
        (ANSWER_STAGE, EDGE, "openai_api"),
    ],
)
def test_the_example_answers_as_before_with_another_engine_on_one_side(
    mode: str, side: str, engine: str, tmp_path: Path
) -> None:
    before = as_shipped(mode)
    assert {asked.served_by for asked in before} == {"qa-edge", "qa-cloud"}
    example = written(tmp_path, mode, side, {"engine": engine})
    with RunningHem(["-f", str(example)], timeout=800) as hem:
        assert (f"qa-{side}-openai-server" in hem.pids) == (engine == "openai_api")
        assert any("EngineCore" in " ".join(process.cmdline()) for process in hem.family())
        assert answers(hem) == before


def test_a_server_elsewhere_answers_where_the_model_has_its_url(tmp_path: Path) -> None:
    with running(directory("cloud"), "qa-cloud", tmp_path / "log", "--enforce-eager") as url:
        elsewhere = {"engine": "openai_api", "url": url, "directory": None}
        example = written(tmp_path / "manifests", QUERY_STAGE, CLOUD, elsewhere)
        with RunningHem(["-f", str(example)], timeout=300) as hem:
            assert not any("EngineCore" in " ".join(p.cmdline()) for p in hem.family())
            assert answers(hem) == as_shipped(QUERY_STAGE)
