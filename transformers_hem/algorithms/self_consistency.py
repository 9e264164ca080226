"""Mines the edge model's answer by asking it again: sampled answers that agree are trusted.

After "Self-Consistency Improves Chain of Thought Reasoning" (arXiv 2203.11171), where the majority
of sampled answers wins; here their agreement with the edge model's answer is its confidence.
"""

import unicodedata
from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import (
    Algorithm,
    AlgorithmParameters,
    Batch,
    ExtraAnswers,
    Scores,
    Signal,
    Stage,
)

_MARKUP = "\"'`*()[]\u2018\u2019\u201c\u201d"  # and typographic quotes
_CLOSING = ".,;:!?"


class SelfConsistencyParameters(AlgorithmParameters):
    """`k`: sampled answers per query. `temperature`: of the sampling, (0, 2]."""

    k: int = Field(default=5, ge=1, le=64)
    temperature: float = Field(default=0.7, gt=0, le=2)


class SelfConsistency(Algorithm):
    """score = share of the k sampled answers that differ from the answer.

    They are compared after `normalised`: fit for short answers, not for prose. It costs k more
    answers of the edge model and one more round trip to it, for every query that is not overruled.
    """

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = SelfConsistencyParameters
    signals: tuple[Signal, ...] = ("answers", "samples")

    def __init__(self, parameters: SelfConsistencyParameters) -> None:
        self.sampling = ExtraAnswers(parameters.k, parameters.temperature)

    def score(self, batch: Batch) -> Scores:
        if len(batch.answers) != batch.size or len(batch.samples) != batch.size:
            return np.full(batch.size, np.nan)
        return np.array(list(map(_disagreement, batch.answers, batch.samples)))


def _disagreement(answer: str, samples: tuple[str, ...]) -> float:
    own = normalised(answer)
    return sum(normalised(sample) != own for sample in samples) / len(samples)


def normalised(text: str) -> str:
    """Without case, spacing, quotes, brackets and closing punctuation: "**3.5** ." -> "3.5"."""
    words = unicodedata.normalize("NFKC", text).casefold().split()
    bare = (word.strip(_MARKUP).rstrip(_CLOSING).rstrip(_MARKUP) for word in words)
    return " ".join(word for word in bare if word)
