"""Mines a classifier's probabilities by their entropy; Sedna's `CrossEntropy`."""

import math
from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import (
    Algorithm,
    AlgorithmParameters,
    Batch,
    Scores,
    Signal,
    Stage,
)
from transformers_hem.algorithms.vision import doubt, in_unit_interval, threshold_for

# The entropy of this many probabilities takes some 10 ms; more than that goes to a thread.
INLINE_CLASSES = 50_000


class CrossEntropyParameters(AlgorithmParameters):
    """`threshold_cross_entropy`: below this confidence, in [0, 1], an answer is hard."""

    threshold_cross_entropy: float = Field(default=0.5, ge=0, le=1)


class CrossEntropy(Algorithm):
    """confidence = 1 - entropy / ln(C) over the C classes; score = 1 - confidence, its threshold
    1 - `threshold_cross_entropy`.

    A class of probability 0 adds nothing to the entropy. A single class is as certain as can be at
    0 and 1, and not at all between, which is what the formula tends to. Probabilities need not add
    up to 1, but a row with one outside [0, 1] has no score.
    """

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = CrossEntropyParameters
    threshold_parameters: ClassVar[frozenset[str]] = frozenset({"threshold_cross_entropy"})
    signals: tuple[Signal, ...] = ("probabilities",)

    def __init__(self, parameters: CrossEntropyParameters) -> None:
        self._limit = parameters.threshold_cross_entropy

    @property
    def default_threshold(self) -> float:
        return threshold_for(self._limit)

    def blocks(self, batch: Batch) -> bool:
        return batch.probabilities is not None and batch.probabilities.size > INLINE_CLASSES

    def score(self, batch: Batch) -> Scores:
        if batch.probabilities is None or batch.probabilities.shape[1] == 0:
            return np.full(batch.size, np.nan)
        return np.array([self._difficulty(row) for row in batch.probabilities])

    def _difficulty(self, probabilities: Scores) -> float:
        if not in_unit_interval(probabilities):
            return math.nan
        return doubt(_confidence(probabilities.tolist()), self._limit)


def _confidence(probabilities: list[float]) -> float:
    """1 + sum(p ln p) / ln(C), added one after the other, as Sedna does."""
    negative_entropy = 0.0
    for p in probabilities:
        negative_entropy += p * math.log(p) if p > 0 else 0.0
    if negative_entropy == 0.0:
        return 1.0
    return 1 + negative_entropy / math.log(len(probabilities)) if len(probabilities) > 1 else 0.0
