"""The pairs that a threshold and its promise stand on; `calibration/any_time.py` chooses it.

Pairs have to be a plain sample of the traffic. Where some queries were likelier to become one than
others, each is kept with a probability that makes up for it, which is drawn from the query itself:
a promise can't be had by drawing again. Labelled rows were drawn from no traffic, and all count.
"""

import hashlib
from typing import Final

import numpy as np

from transformers_hem.arrays import Indices
from transformers_hem.lifelong.observations import Observations

RARE: Final = 0.01  # a pair that was less likely still counts as one of this chance


def plain_sample(seen: Observations) -> Indices:
    """Rows of pairs, in the order of time, thinned so that all queries were equally likely. Rows of
    one time, as those of a file, are shuffled: files are often sorted, and a bet on them would win
    by that."""
    pairs = np.flatnonzero(seen.paired & (seen.propensities[:, 2] > 0))
    if not len(pairs):
        return pairs
    chances = seen.propensities[pairs, 2]
    by_chance = chances < 1
    least = max(float(chances[by_chance].min()), RARE) if by_chance.any() else 1.0
    drawn = np.array([_drawn(seen.queries[i], float(seen.times[i])) for i in pairs])
    kept = ~by_chance | (drawn * chances < least)
    pairs = np.random.default_rng(0).permutation(pairs[kept])
    return np.asarray(pairs[np.argsort(seen.times[pairs], kind="stable")])


def _drawn(query: str, at: float) -> float:
    """In [0, 1), the same for the same query and time."""
    digest = hashlib.blake2b(f"{at!r} {query}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
