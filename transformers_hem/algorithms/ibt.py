"""Mines a detector's boxes by how many are doubtful; Sedna's `IBT` (image and box thresholds)."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters, Scores
from transformers_hem.algorithms.vision import BoxAlgorithm, BoxParameters

# The score of an image without a doubtful box: above 0, since a `threshold_img` of 1 calls it hard,
# and below the threshold of every other `threshold_img`.
_NONE_DOUBTFUL = 2.0**-54


class IBTParameters(BoxParameters):
    """`threshold_box`: a box with a score up to it is doubtful. `threshold_img`: an image is hard
    where the share of doubtful boxes is at least 1 - `threshold_img`. Both in [0, 1]."""

    threshold_box: float = Field(default=0.5, ge=0, le=1)
    threshold_img: float = Field(default=0.5, ge=0, le=1)


class IBT(BoxAlgorithm[IBTParameters]):
    """score = share of doubtful boxes; its threshold is the number just below 1 - `threshold_img`,
    because an image at that share is hard already."""

    Parameters: ClassVar[type[AlgorithmParameters]] = IBTParameters
    threshold_parameters: ClassVar[frozenset[str]] = frozenset({"threshold_img"})

    @property
    def default_threshold(self) -> float:
        return max(0.0, float(np.nextafter(1 - self.parameters.threshold_img, 0.0)))

    def difficulty(self, scores: Scores) -> float:
        doubtful = int((scores <= self.parameters.threshold_box).sum())
        return max(doubtful / len(scores), _NONE_DOUBTFUL)
