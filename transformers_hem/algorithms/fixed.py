"""The two ends of every comparison: all at the edge, all in the cloud. No threshold applies."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import Algorithm, Batch, Route, Scores, Stage


class EdgeOnly(Algorithm):
    stage: ClassVar[Stage] = "query"
    fixed_route: ClassVar[Route | None] = "edge"

    def score(self, batch: Batch) -> Scores:
        return np.zeros(batch.size)


class CloudOnly(Algorithm):
    stage: ClassVar[Stage] = "query"
    fixed_route: ClassVar[Route | None] = "cloud"

    def score(self, batch: Batch) -> Scores:
        return np.ones(batch.size)
