"""How far apart the kernel's sums of a side should lie, and where their middle is: one logistic
regression of what was seen of the side on its sums out of fold (Platt 1999).

A regularised machine says too little, the less the fewer rows it has and the more one-sided their
outcomes are: of a cloud that is mostly right less than of the edge. The order of the queries is
that of a difference of both, so that it would stand on the side that says more. Where both sides
of few thousand rows are known this hardly matters; of rows that show one side each it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from transformers_hem.arrays import Floats, Indices
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.fitting import logistic
from transformers_hem.routers.targets import expected_difference, rightness

LEAST: Final = 0.1  # of a factor: sums that tell nothing don't turn the order around
FREE: Final = 1e4  # the inverse of the regularisation's strength: there is none


@dataclass(frozen=True, slots=True)
class Scaling:
    """`factors` and `shifts` [2], of the edge's sums and of the cloud's."""

    factors: Floats
    shifts: Floats

    @classmethod
    def of(cls, sums: Floats, labels: Labels) -> "Scaling":
        """`sums` [N, 2] of the labels' rows, by kernels that never saw them."""
        sides = zip(rightness(labels), labels.side_weights, strict=True)
        found = [
            logistic(sums[:, [side]], right, FREE, weights)
            for side, (right, weights) in enumerate(sides)
        ]
        factors = np.array([max(float(slope[0]), LEAST) for slope, _ in found])
        return cls(factors, np.array([shift for _, shift in found]))

    def difficulty(self, sums: Floats) -> Floats:
        right = expit(sums * self.factors + self.shifts)
        return np.asarray(expected_difference(right[:, 0], right[:, 1]))


def scaled_apart(sums: Floats, labels: Labels, parts: Sequence[tuple[Indices, Indices]]) -> Floats:
    """[N]: the difficulty of rows out of fold, scaled by what the other folds' rows say."""
    found = np.zeros(len(sums))
    for train, test in parts:
        found[test] = Scaling.of(sums[train], labels.subset(train)).difficulty(sums[test])
    return found
