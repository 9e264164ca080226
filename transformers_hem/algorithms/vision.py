"""What the algorithms for classifiers and detectors share; the edge's output is their signal.

A row without usable values has no score, so it goes to the cloud: malformed ones are never easy.
"""

from abc import abstractmethod
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np

from transformers_hem.algorithms.base import (
    Algorithm,
    AlgorithmParameters,
    Batch,
    Scores,
    Signal,
    Stage,
)

P = TypeVar("P", bound="BoxParameters")
_SCORE, _LABEL = 4, 5  # positions in a box


class BoxParameters(AlgorithmParameters):
    """`no_boxes`: where an image without any box goes; Sedna's algorithms say edge."""

    no_boxes: Literal["edge", "cloud"] = "cloud"


class BoxAlgorithm(Algorithm, Generic[P]):
    """score = `difficulty` of each image's boxes. NaN for an image with an invalid score or label,
    and, unless `no_boxes` is edge, for one without boxes."""

    stage: ClassVar[Stage] = "answer"
    signals: tuple[Signal, ...] = ("boxes",)

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    @abstractmethod
    def difficulty(self, scores: Scores) -> float:
        """In [0, 1], of the scores of one image's boxes, float [boxes] in [0, 1], at least one."""

    def score(self, batch: Batch) -> Scores:
        if batch.boxes is None:
            return np.full(batch.size, np.nan)
        return np.array([self._of_image(boxes) for boxes in batch.boxes])

    def _of_image(self, boxes: Scores) -> float:
        scores = boxes[boxes[:, _LABEL] >= 0, _SCORE]
        if np.isnan(boxes[:, _LABEL]).any() or not in_unit_interval(scores):
            return np.nan
        if len(scores) == 0:
            return 0.0 if self.parameters.no_boxes == "edge" else np.nan
        return self.difficulty(scores)


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
