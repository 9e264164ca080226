"""A threshold for a new router, and its promise, from shadow pairs in the order in which they came.

Pairs have to be a plain sample of the traffic. Where some queries were likelier to become one than
others, each is kept with a probability that makes up for it, which is drawn from the query itself:
a promise can't be had by drawing again.
"""

import hashlib
from typing import Final

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Floats, Indices
from transformers_hem.calibration.quality_loss import GRID
from transformers_hem.calibration.threshold_search import ThresholdSearch
from transformers_hem.lifelong.observations import Observations

RARE: Final = 0.01  # a pair that was less likely still counts as one of this chance


def plain_sample(seen: Observations) -> Indices:
    """Rows of pairs, in the order of time, thinned so that all queries were equally likely."""
    pairs = np.flatnonzero(seen.paired & (seen.propensities[:, 2] > 0))
    if not len(pairs):
        return pairs
    chances = seen.propensities[pairs, 2]
    least = max(float(chances.min()), RARE)
    kept = np.array([_drawn(seen.queries[i], float(seen.times[i])) for i in pairs]) * chances
    pairs = pairs[kept < least]
    return np.asarray(pairs[np.argsort(seen.times[pairs], kind="stable")])


def recalibrated(scores: Floats, outcomes: Floats, limit: float, confidence: float) -> float:
    """The highest threshold whose mean loss against the cloud is at most `limit`, with
    `confidence` at whatever time the sampling ended. `scores` [N], `outcomes` [N, 2] in [0, 1].

    Raises ConfigurationError where the pairs can't promise it.
    """
    search = ThresholdSearch(GRID, limit, confidence)
    search.add(scores, outcomes[:, 1] - outcomes[:, 0])
    easy = scores[:, None] <= GRID[: search.kept]
    if search.kept == 0 or not easy[:, -1].any():
        raise ConfigurationError(
            f"{len(scores)} pairs can't promise a quality loss of at most {limit:g} with "
            f"confidence {confidence:g}, whenever the sampling ends; "
            "raise the shadow share, or wait"
        )
    return float(GRID[search.kept - 1])


def _drawn(query: str, at: float) -> float:
    """In [0, 1), the same for the same query and time."""
    digest = hashlib.blake2b(f"{at!r} {query}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
