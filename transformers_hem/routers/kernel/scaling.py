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
from scipy.optimize import brentq
from scipy.special import expit, logit

from transformers_hem.arrays import Floats, Indices
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.fitting import logistic
from transformers_hem.routers.targets import expected_difference, rightness

LEAST: Final = 0.1  # of a factor: sums that tell nothing don't turn the order around
FREE: Final = 1e4  # the inverse of the regularisation's strength: targets bound it, see `_targets`


@dataclass(frozen=True, slots=True)
class Scaling:
    """`factors` and `shifts` [2], of the edge's sums and of the cloud's."""

    factors: Floats
    shifts: Floats

    @classmethod
    def of(cls, sums: Floats, labels: Labels) -> "Scaling":
        """`sums` [N, 2] of the labels' rows, by kernels that never saw them."""
        sides = zip(sums.T, rightness(labels), labels.side_weights, strict=True)
        found = [_fitted(each, right, weights) for each, right, weights in sides]
        factors, shifts = np.array(found).T
        return cls(factors, shifts)

    def difficulty(self, sums: Floats) -> Floats:
        right = expit(sums * self.factors + self.shifts)
        return np.asarray(expected_difference(right[:, 0], right[:, 1]))


def scaled_apart(sums: Floats, labels: Labels, parts: Sequence[tuple[Indices, Indices]]) -> Floats:
    """[N]: the difficulty of rows out of fold, scaled by what the other folds' rows say."""
    found = np.zeros(len(sums))
    for train, test in parts:
        found[test] = Scaling.of(sums[train], labels.subset(train)).difficulty(sums[test])
    return found


def _fitted(sums: Floats, right: Floats, weights: Floats | None) -> tuple[float, float]:
    """Factor and shift of one side's sums [N]."""
    weights = np.ones(len(sums)) if weights is None else weights
    targets = _targets(right, weights)
    slope, shift = logistic(sums[:, None], targets, FREE, weights)
    if (factor := float(slope[0])) >= LEAST:
        return factor, shift
    return LEAST, _shift(LEAST * sums, targets, weights)


def _targets(right: Floats, weights: Floats) -> Floats:
    """Platt's: as if one more row like each had gone the other way. Few rows that happen to be
    apart would have an endless factor else, and a side that was always right an endless shift."""
    rights, wrongs = float(weights @ right), float(weights @ (1 - right))
    return right * (rights + 1) / (rights + 2) + (1 - right) / (wrongs + 2)


def _shift(sums: Floats, targets: Floats, weights: Floats) -> float:
    """By which sums whose factor is held say on average what was seen. At its bounds every chance
    is below that average, or every one above it."""
    if not weights.any():
        return 0.0
    mean = float(weights @ targets / weights.sum())
    low, high = logit(mean) - sums.max() - 1, logit(mean) - sums.min() + 1
    return float(brentq(lambda shift: weights @ (expit(sums + shift) - targets), low, high))
