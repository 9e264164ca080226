"""The embedded example as real processes; each stack costs some 20 seconds of CPU, so few start."""

from collections.abc import Iterator

import pytest

from inferencegraph.read.documents import MANIFESTS
from tests.inferencegraph.running_hem import RunningHem

MODES = ("mining-then-inference", "inference-then-mining")


def start(mode: str) -> RunningHem:
    return RunningHem(
        ["--no-restart", "-f", str(MANIFESTS / "answer-generation" / mode)], timeout=180
    )


@pytest.fixture(scope="module", params=MODES)
def stack(request: pytest.FixtureRequest) -> Iterator[RunningHem]:
    """Both modes in turn; all but the last test of a file must leave every service alive."""
    with start(request.param) as running:
        yield running
