"""What the algorithms for classifiers and detectors share; the edge's output is their signal.

A row that says nothing has no score, so it goes to the cloud: malformed values are never easy.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores

BoxScores = NDArray[np.float64]
_SCORE, _LABEL = 4, 5  # positions in a box


class BoxParameters(AlgorithmParameters):
    """`no_boxes`: where an image without any box goes; Sedna's algorithms say edge."""

    no_boxes: Literal["edge", "cloud"] = "cloud"


def per_image(
    batch: Batch, no_boxes: Literal["edge", "cloud"], difficulty: Callable[[BoxScores], float]
) -> Scores:
    """`difficulty` of each image's box scores, float [boxes] in [0, 1].

    NaN for an image with a score or a label that is none, and, unless `no_boxes` is edge, for one
    without boxes.
    """
    if batch.boxes is None:
        return np.full(batch.size, np.nan)
    return np.array([_image(boxes, no_boxes, difficulty) for boxes in batch.boxes])


def _image(
    boxes: Scores, no_boxes: Literal["edge", "cloud"], difficulty: Callable[[BoxScores], float]
) -> float:
    if np.isnan(boxes[:, _LABEL]).any():
        return np.nan
    scores = boxes[boxes[:, _LABEL] >= 0, _SCORE]
    if len(scores) == 0:
        return 0.0 if no_boxes == "edge" else np.nan
    return difficulty(scores) if in_unit_interval(scores) else np.nan


def in_unit_interval(values: Scores) -> bool:
    return bool(((values >= 0) & (values <= 1)).all())


def threshold_for(limit: float) -> float:
    """The score threshold that `doubt(confidence, limit)` is above where confidence < limit."""
    return min(1.0 - limit, float(np.nextafter(1.0, 0.0)))


def doubt(confidence: float, limit: float) -> float:
    """1 - confidence, cut to [0, 1]; on the side of `threshold_for(limit)` where the confidence is
    of the limit.

    Exactly so: without the second step, rounding of 1 - x would make easy what is hard by a hair.
    """
    score = min(max(1.0 - confidence, 0.0), 1.0)
    threshold = threshold_for(limit)
    if confidence < limit:
        return max(score, float(np.nextafter(threshold, 2.0)))
    return min(score, threshold)
