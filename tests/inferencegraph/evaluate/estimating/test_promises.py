"""Estimates on logs made of recorded correctness keep what they promise, and take few labels.

The full 200 draws, with more routers: tests/benchmarks/bench_estimate.py.
"""

from pathlib import Path

import numpy as np
import pytest

from inferencegraph.evaluate.estimating.aim import Aim
from tests.inferencegraph.evaluate.estimating.draws import Routed, most, trained, walked
from tests.inferencegraph.evaluate.estimating.records import Records, mmlu

DRAWS, CONFIDENCE = 40, 0.9


@pytest.fixture(scope="module")
def records(shared: Path) -> Records:
    return mmlu(shared)


@pytest.fixture(scope="module")
def routed(records: Records, tmp_path_factory: pytest.TempPathFactory) -> list[Routed]:
    return [trained(records, tmp_path_factory.mktemp("routers"), seed) for seed in range(1)]


@pytest.mark.parametrize(
    ("aim", "logged"),
    [
        (Aim.of(0.05, None, None, "traffic", confidence=CONFIDENCE), 4000),
        (Aim.of(0.03, None, None, "log", confidence=CONFIDENCE), 2500),
        (Aim.of(None, 0.4, None, None, confidence=CONFIDENCE), 4000),
    ],
    ids=["traffic", "log", "edge ratio"],
)
def test_what_is_promised_is_kept_with_half_of_the_labels(
    records: Records, routed: list[Routed], aim: Aim, logged: int
) -> None:
    drawn = [walked(records, routed[0], aim, logged, seed) for seed in range(DRAWS)]
    broken, missed = sum(each.broken for each in drawn), sum(each.share_missed for each in drawn)
    labelled = float(np.mean([each.labels / each.logged for each in drawn]))
    kept, loss = (float(np.mean([getattr(d, n) for d in drawn])) for n in ("kept", "loss"))
    print(
        f"{broken} broken, {missed} shares missed, {labelled:.2f} labelled, {kept:.2f} {loss:.4f}"
    )
    assert broken <= most(DRAWS, CONFIDENCE)
    assert missed <= most(DRAWS, CONFIDENCE)
    assert labelled <= 0.5
    assert kept > 0.1  # not kept by leaving all to the cloud
