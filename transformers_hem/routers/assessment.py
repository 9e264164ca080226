"""What out-of-fold scores show of a router: its probabilities, threshold, metrics and spread."""

from typing import Any

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import ScoreSpread
from transformers_hem.calibration.probability import calibrate_probabilities
from transformers_hem.evaluation.metrics import ScoredRows, expected_calibration_error, measure
from transformers_hem.evaluation.quality import cheapest_cut, gap_recovered
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Metrics

# The default threshold keeps this share of cloud-only's quality, counted from the lowest label.
KEEP_QUALITY = 0.97


def assess(
    raw: Floats, tested: Labels, seed: int, learner: str, *, unrounded: Floats | None = None
) -> dict[str, Any]:
    """Fields of a `TrainedConfig`: threshold, probability, scores and metrics.

    `raw`: float [N] in [0, 1] of the rows `tested`, each scored by a model that wasn't fitted to
    it; `unrounded` the same before the model was rounded to int8. `learner` describes in words what
    was trained. Metrics are of the calibrated scores, `ece` of maps that were cross-fitted too.
    """
    calibrated = calibrate_probabilities(raw, tested.hard, seed)
    scores = calibrated.map.apply(raw)
    cut = cheapest_cut(scores, tested.edge, tested.cloud, KEEP_QUALITY, tested.low)
    metrics: Metrics = {
        "learner": learner,
        "edge_quality": round(float(tested.edge.mean()), 4),
        "cloud_quality": round(float(tested.cloud.mean()), 4),
        "hard_share": round(float(tested.hard.mean()), 4),
        **measure(ScoredRows(scores, cut.threshold, tested.edge, tested.cloud, tested.hard)),
        "ece": round(expected_calibration_error(calibrated.held_out, tested.hard), 4),
        "ece_before": round(expected_calibration_error(raw, tested.hard), 4),
    }
    if unrounded is not None:
        # By every threshold: ten bins would hide so small a difference in their noise.
        before, after = (gap_recovered(s, tested.edge, tested.cloud) for s in (unrounded, raw))
        lost = before - after
        metrics["apgr_lost_in_int8"] = round(lost, 4) if np.isfinite(lost) else 0.0
    return {
        "threshold": cut.threshold,
        "probability": calibrated.map,
        "scores": ScoreSpread.of(scores),
        "metrics": metrics,
    }


def trained_on(labels: Labels, seed: int) -> dict[str, Any]:
    """The other fields of a `TrainedConfig`."""
    return {
        "data_sha256": labels.sha256,
        "seed": seed,
        "rows": len(labels.queries),
        "epsilon": labels.epsilon,
    }
