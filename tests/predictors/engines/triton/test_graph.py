"""The answer-generation example with triton on one side: one value of that side's model."""

from pathlib import Path

import pytest

from inferencegraph.build.mining import ANSWER_STAGE, QUERY_STAGE
from predictors.contract import CLOUD, EDGE
from predictors.servers.triton.repository import write_repository
from tests.inferencegraph.running_hem import RunningHem
from tests.predictors.engines.answer_generation import answers, as_shipped, written
from tests.tritonserver import StartTriton

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("mode", "side"), [(QUERY_STAGE, EDGE), (QUERY_STAGE, CLOUD), (ANSWER_STAGE, EDGE)]
)
def test_the_example_answers_as_before_with_the_engine_triton_on_one_side(
    mode: str, side: str, tmp_path: Path
) -> None:
    before = as_shipped(mode)
    assert {asked.served_by for asked in before} == {"qa-edge", "qa-cloud"}
    example = written(tmp_path, mode, side, {"engine": "triton"})
    with RunningHem(["-f", str(example)], timeout=300) as hem:
        assert f"qa-{side}-triton" in hem.pids
        assert any(process.name() == "tritonserver" for process in hem.family())
        assert answers(hem) == before


def test_a_triton_elsewhere_answers_where_the_model_has_its_url(
    start_triton: StartTriton, tmp_path: Path
) -> None:
    write_repository(tmp_path / "models", {"qa-cloud": "embedded:cloud"})
    server = start_triton(tmp_path / "models")
    elsewhere = {"engine": "triton", "url": server.grpc, "directory": "qa-cloud"}
    example = written(tmp_path / "manifests", QUERY_STAGE, CLOUD, elsewhere)
    with RunningHem(["-f", str(example)], timeout=300) as hem:
        assert not any(process.name() == "tritonserver" for process in hem.family())
        assert answers(hem) == as_shipped(QUERY_STAGE)
