"""Metrics of routers; a new one is a file and a line in this table."""

from collections.abc import Callable

import numpy as np

from transformers_hem.evaluation.metrics.calibration_error import ece
from transformers_hem.evaluation.metrics.classification import (
    accuracy,
    f1,
    precision,
    recall,
)
from transformers_hem.evaluation.metrics.judged import Judged
from transformers_hem.evaluation.metrics.ranking import auroc
from transformers_hem.evaluation.metrics.recovered import (
    apgr,
    cpt50,
    cpt80,
)
from transformers_hem.evaluation.metrics.routed import edge_share, routed_quality

__all__ = ["METRICS", "Judged", "measure"]

METRICS: dict[str, Callable[[Judged], float]] = {
    "apgr": apgr,
    "cpt50": cpt50,
    "cpt80": cpt80,
    "auroc": auroc,
    "ece": ece,
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "routed_quality": routed_quality,
    "edge_share": edge_share,
}


def measure(judged: Judged) -> dict[str, float]:
    """Every metric that is defined on these rows, to four digits."""
    values = {name: metric(judged) for name, metric in METRICS.items()}
    return {name: round(value, 4) for name, value in values.items() if np.isfinite(value)}
