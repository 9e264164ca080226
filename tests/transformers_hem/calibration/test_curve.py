"""What other thresholds would give, as a router keeps it."""

import numpy as np
import pytest
from pydantic import ValidationError

from transformers_hem.calibration.config import RoutingCurve
from transformers_hem.calibration.curve import STEPS, routing_curve
from transformers_hem.evaluation.quality import cut_at
from transformers_hem.labels.labels import Labels

RNG = np.random.default_rng(0)


def labels(edge: np.ndarray, cloud: np.ndarray) -> Labels:
    return Labels([""] * len(edge), edge, cloud, 1.0, "")


def test_each_point_is_what_its_threshold_gives_on_the_rows() -> None:
    scores = RNG.beta(1, 3, 1000)
    edge, cloud = (RNG.random(1000) > scores).astype(float), np.ones(1000)
    curve = routing_curve(scores, labels(edge, cloud), "calibration", 0.31)
    assert curve is not None and curve.quality is not None
    assert len(curve.thresholds) == STEPS + 2 and curve.rows == 1000
    assert 0.31 in curve.thresholds
    assert (curve.edge_share[0], curve.edge_share[-1]) == (0.0, 1.0)
    for at, share, quality in zip(curve.thresholds, curve.edge_share, curve.quality, strict=True):
        cut = cut_at(at, scores, edge, cloud)
        assert (share, quality) == pytest.approx((cut.edge_share, cut.quality), abs=1e-5)


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2, 0.95, 1.0])
def test_the_chosen_threshold_is_in_its_place_wherever_it_lies(threshold: float) -> None:
    scores = np.repeat(np.arange(1, 10) / 10, 7)
    curve = routing_curve(scores, None, "calibration", threshold)
    assert curve is not None and threshold in curve.thresholds
    share = curve.edge_share[curve.thresholds.index(threshold)]
    assert share == pytest.approx(np.mean(scores <= threshold), abs=1e-5)


def test_rows_without_a_score_never_stay_at_the_edge() -> None:
    scores = np.concatenate([RNG.random(90), np.full(10, np.inf)])
    curve = routing_curve(scores, None, "calibration", 1.0)
    assert curve is not None and curve.quality is None
    assert curve.edge_share[-1] == 0.9


@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [np.inf, np.inf]])
def test_scores_that_no_threshold_divides_have_no_curve(scores: list[float]) -> None:
    assert routing_curve(np.array(scores), None, "training", 0.5) is None


@pytest.mark.parametrize(
    "fault",
    [
        {"edge_share": (0.0, 0.5)},
        {"quality": (1.0,)},
        {"thresholds": (0.5, 0.5, 1.0)},
        {"thresholds": (0.0, 0.5, 1.5)},
        {"edge_share": (1.0, 0.5, 0.0)},
    ],
)
def test_a_curve_that_fits_nothing_is_refused(fault: dict[str, tuple[float, ...]]) -> None:
    good = {"thresholds": (0.0, 0.5, 1.0), "edge_share": (0.0, 0.5, 1.0)}
    RoutingCurve.model_validate({"of": "training", "rows": 3, **good})
    with pytest.raises(ValidationError):
        RoutingCurve.model_validate({"of": "training", "rows": 3, **good, **fault})
