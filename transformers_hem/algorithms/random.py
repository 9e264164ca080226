"""A coin: the baseline that a learned router has to beat."""

import hashlib
from typing import ClassVar

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores, Stage


class RandomParameters(AlgorithmParameters):
    """`random_ratio`: the share that goes to the cloud (Sedna's `Random`). The other way round,
    `threshold` is the share that stays at the edge (Ianvs's `RandomRouter`), as it is for every
    score that is spread evenly. Without either, half and half."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    random_ratio: float | None = Field(default=None, ge=0, le=1)


class Random(Algorithm):
    """Scores spread evenly over [0, 1): at threshold t a share t of distinct queries is easy.

    The score is a hash of seed and query, not a running generator: every replica, and every
    repetition of a run, sends the same query the same way, whatever came before it.
    """

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = RandomParameters
    threshold_parameters: ClassVar[frozenset[str]] = frozenset({"random_ratio"})

    def __init__(self, parameters: RandomParameters) -> None:
        self._key = parameters.seed.to_bytes(8, "little")
        self._cloud_share = parameters.random_ratio

    @property
    def default_threshold(self) -> float | None:
        return None if self._cloud_share is None else 1 - self._cloud_share

    def score(self, batch: Batch) -> Scores:
        return np.array([self._draw(text) for text in batch.texts])

    def _draw(self, text: str) -> float:
        digest = hashlib.blake2b(text.encode(), key=self._key, digest_size=6).digest()
        return int.from_bytes(digest, "little") / 2**48
