"""Mines a detector's boxes by their mean score; Sedna's `Threshold`."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters, Scores
from transformers_hem.algorithms.vision import BoxAlgorithm, BoxParameters, doubt, threshold_for


class ThresholdParameters(BoxParameters):
    """`threshold`: an image whose boxes' mean score, in [0, 1], is below it is hard."""

    threshold: float = Field(default=0.5, ge=0, le=1)


class Threshold(BoxAlgorithm[ThresholdParameters]):
    """score = 1 - mean score of the boxes; the threshold for it is 1 - `threshold`."""

    Parameters: ClassVar[type[AlgorithmParameters]] = ThresholdParameters
    threshold_parameters: ClassVar[frozenset[str]] = frozenset({"threshold"})

    @property
    def default_threshold(self) -> float:
        return threshold_for(self.parameters.threshold)

    def difficulty(self, scores: Scores) -> float:
        # One after the other, as Sedna adds them: the last digit may decide.
        mean = float(np.cumsum(scores)[-1]) / len(scores)
        return doubt(mean, self.parameters.threshold)
