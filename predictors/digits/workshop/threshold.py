"""Where the edge model's doubt is too large: chosen on answers to images held out of training."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Share of images that stay at the edge. It is decided beforehand, not by what routing then loses:
# a few errors among nine hundred images say little of that (README.md, "The threshold").
EDGE_SHARE: Final = 0.8

Booleans = NDArray[np.bool_]
Doubts = NDArray[np.float64]


def doubt(probabilities: NDArray[np.floating]) -> Doubts:
    """Entropy of each row by the largest that it could have, in [0, 1]: CrossEntropy's score."""
    exact = probabilities.astype(np.float64)
    terms = np.where(exact > 0, exact * np.log(np.where(exact > 0, exact, 1)), 0)
    found: Doubts = -terms.sum(axis=1) / np.log(exact.shape[1])
    return found


def choose(doubts: Doubts) -> float:
    """EDGE_SHARE of the images are no more doubtful than that; those above it go to the cloud."""
    return float(round(np.quantile(doubts, EDGE_SHARE), 4))


def routed(
    doubts: Doubts, threshold: float, edge_right: Booleans, cloud_right: Booleans
) -> tuple[float, float]:
    """Share of right answers, and share of images that stay at the edge."""
    hard = doubts > threshold
    return float(np.where(hard, cloud_right, edge_right).mean()), float((~hard).mean())
