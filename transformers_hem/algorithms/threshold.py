"""Mines a detector's boxes by their mean score; Sedna's `Threshold`."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import Algorithm, Batch, Scores, Signal, Stage
from transformers_hem.algorithms.vision import BoxParameters, doubt, per_image, threshold_for


class ThresholdParameters(BoxParameters):
    """`threshold`: an image whose boxes' mean score, in [0, 1], is below it is hard."""

    threshold: float = Field(default=0.5, ge=0, le=1)


class Threshold(Algorithm):
    """score = 1 - mean score of the boxes; the threshold for it is 1 - `threshold`."""

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[BoxParameters]] = ThresholdParameters
    threshold_parameters: ClassVar[frozenset[str]] = frozenset({"threshold"})
    signals: tuple[Signal, ...] = ("boxes",)

    def __init__(self, parameters: ThresholdParameters) -> None:
        self._limit = parameters.threshold
        self._no_boxes = parameters.no_boxes

    @property
    def default_threshold(self) -> float:
        return threshold_for(self._limit)

    def score(self, batch: Batch) -> Scores:
        return per_image(batch, self._no_boxes, self._difficulty)

    def _difficulty(self, scores: Scores) -> float:
        # One after the other, as Sedna adds them: the last digit may decide.
        mean = float(np.cumsum(scores)[-1]) / len(scores)
        return doubt(mean, self._limit)
