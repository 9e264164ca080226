"""What out-of-fold scores say of a router: its probabilities, threshold, metrics and spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transformers_hem.calibration.config import ProbabilityMap, ScoreSpread
from transformers_hem.calibration.probability import calibrate_probabilities
from transformers_hem.evaluation.metrics import Judged, measure
from transformers_hem.evaluation.metrics.calibration_error import expected_calibration_error
from transformers_hem.evaluation.quality import cheapest_cut
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Metrics

# The default threshold keeps this share of cloud-only's quality, counted from the lowest label.
KEEP_QUALITY = 0.97


@dataclass(frozen=True, slots=True)
class Judgement:
    """Fields of a `CalibratedConfig`, and the metrics to write beside them."""

    threshold: float
    probability: ProbabilityMap
    scores: ScoreSpread
    metrics: Metrics


def judge(raw: NDArray[np.float64], labels: Labels, seed: int) -> Judgement:
    """`raw`: float [N] in [0, 1], each row scored by a model that wasn't fitted to it.

    Metrics are of the calibrated scores, `ece` of maps that were cross-fitted too.
    """
    calibrated = calibrate_probabilities(raw, labels.hard, seed)
    scores = calibrated.map.apply(raw)
    cut = cheapest_cut(scores, labels.edge, labels.cloud, KEEP_QUALITY, labels.low)
    judged = Judged(scores, cut.threshold, labels.edge, labels.cloud, labels.hard)
    ece = {
        "ece": expected_calibration_error(calibrated.held_out, labels.hard),
        "ece_before": expected_calibration_error(raw, labels.hard),
    }
    metrics: Metrics = {
        "edge_quality": round(float(labels.edge.mean()), 4),
        "cloud_quality": round(float(labels.cloud.mean()), 4),
        "hard_share": round(float(labels.hard.mean()), 4),
        **measure(judged),
        **{name: round(value, 4) for name, value in ece.items()},
    }
    return Judgement(cut.threshold, calibrated.map, ScoreSpread.of(scores), metrics)
