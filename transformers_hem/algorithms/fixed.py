"""The two ends of every comparison: all at the edge, all in the cloud. No threshold applies."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import Algorithm, Batch, Route, Scores, Stage


class Fixed(Algorithm):
    stage: ClassVar[Stage] = "query"

    def score(self, batch: Batch) -> Scores:
        return np.full(batch.size, float(self.fixed_route == "cloud"))


class EdgeOnly(Fixed):
    fixed_route: ClassVar[Route | None] = "edge"


class CloudOnly(Fixed):
    fixed_route: ClassVar[Route | None] = "cloud"
