"""`hem calibrate`: labelled traffic in, a threshold and what it promises out."""

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.calibration.config import Calibration
from transformers_hem.calibration.sample import Sample, read_sample
from transformers_hem.calibration.targets import (
    Budget,
    EdgeRatio,
    MaxQualityLoss,
    Target,
)
from transformers_hem.calibration.writing import require_writable, write_calibration

__all__ = [
    "Budget",
    "EdgeRatio",
    "MaxQualityLoss",
    "Target",
    "calibrate",
    "read_sample",
    "require_writable",
    "write_calibration",
]


def calibrate(
    algorithm: Algorithm, sample: Sample, target: Target, confidence: float
) -> Calibration:
    """Raises ConfigurationError where the rows can't support the promise, saying how many could.

    A promise is about queries like the sample's, asked one at a time; `hem_score_psi` watches
    whether they still are.
    """
    if algorithm.fixed_route is not None:
        raise ConfigurationError(
            f"{type(algorithm).__name__} sends everything to the {algorithm.fixed_route}: "
            "it has no threshold to calibrate"
        )
    promise = target.promise(sample, algorithm.stage, confidence)
    share = float(np.mean(sample.scores <= promise.threshold))
    return Calibration(
        target=target.name,
        limit=target.limit,
        threshold=promise.threshold,
        confidence=confidence,
        edge_share=share,
        rows=len(sample.scores),
        data_sha256=sample.sha256,
        promise=f"{share:.1%} of the queries at the edge, {promise.text}, from "
        f"{len(sample.scores)} rows",
    )
