"""`hem estimate` on logs made of recorded correctness, 200 draws each, the edge played from the
records: the promises that are kept, and the labels that the early stop saves."""

import json
from pathlib import Path

import numpy as np
import pytest

from inferencegraph.evaluate.estimating.aim import Aim
from tests.inferencegraph.evaluate.estimating.draws import Routed, most, trained, walked
from tests.inferencegraph.evaluate.estimating.records import Records, llmrouter, mmlu

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

DRAWS, ROUTERS, CONFIDENCE = 200, 40, 0.9


NEAR = "llama-3.1-8b-instruct"  # nearly as good as the cloud, on other queries than it
CLOUD = "llama-3.1-nemotron-51b-instruct"


@pytest.fixture(scope="module", params=["MMLU", "mistral-7b-instruct-v0.3", NEAR])
def records(request: pytest.FixtureRequest, shared: Path) -> Records:
    """MMLU's, or those of an edge beside one cloud."""
    return mmlu(shared) if request.param == "MMLU" else llmrouter(shared, request.param, CLOUD)


@pytest.fixture(scope="module")
def routed(records: Records, tmp_path_factory: pytest.TempPathFactory) -> list[Routed]:
    folder = tmp_path_factory.mktemp("routers")
    return [trained(records, folder, seed) for seed in range(ROUTERS)]


@pytest.mark.parametrize(
    ("limit", "ratio", "about"),
    [(0.05, None, "traffic"), (0.03, None, "traffic"), (0.05, None, "log"), (None, 0.4, "log")],
)
def test_promises_are_kept_and_half_of_the_labels_saved(
    request: pytest.FixtureRequest,
    records: Records,
    routed: list[Routed],
    limit: float | None,
    ratio: float | None,
    about: str,
) -> None:
    aim = Aim.of(limit, ratio, None, about, confidence=CONFIDENCE)  # type: ignore[arg-type]
    drawn = [walked(records, routed[seed % ROUTERS], aim, 4000, seed) for seed in range(DRAWS)]
    labels = np.array([each.labels for each in drawn])
    figures = {
        "benchmark": "estimate",
        "test": request.node.name,
        "records": len(records.queries),
        "limit": limit,
        "edge_ratio": ratio,
        "about": about,
        "draws": DRAWS,
        "broken": sum(each.broken for each in drawn),
        "shares_missed": sum(each.share_missed for each in drawn),
        "most": most(DRAWS, CONFIDENCE),
        "kept": round(float(np.mean([each.kept for each in drawn])), 3),
        "loss": round(float(np.mean([each.loss for each in drawn])), 4),
        "labels_mean": round(float(labels.mean())),
        "labels_median": int(np.median(labels)),
        "saved": round(1 - float(labels.mean()) / 4000, 3),
    }
    print(json.dumps(figures))
    assert figures["broken"] <= figures["most"] and figures["shares_missed"] <= figures["most"]
    assert labels.max() <= 2000
