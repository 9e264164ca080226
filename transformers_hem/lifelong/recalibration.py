"""The pairs that a threshold and its promise stand on; `calibration/any_time.py` chooses it.

Pairs have to be a plain sample of the traffic. Where some queries were likelier to become one than
others, each is kept with a probability that makes up for it, which is drawn from the query itself:
a promise can't be had by drawing again. Labelled rows were drawn from no traffic, and all count.
What users say of both sides was drawn by nobody, and is left out.
"""

import hashlib

import numpy as np

from transformers_hem.arrays import Indices
from transformers_hem.lifelong.observations import Observations


def plain_sample(seen: Observations) -> Indices:
    """Rows of pairs, in the order of time, thinned so that all queries were as likely as the one
    that was least so. Rows of one time, as those of a file, are shuffled: files are often sorted,
    and a bet on them would win by that."""
    pairs = np.flatnonzero(seen.paired & seen.trusted & (seen.propensities[:, 2] > 0))
    if not len(pairs):
        return pairs
    chances = seen.propensities[pairs, 2]
    by_chance = seen.of_traffic[pairs]
    least = chances[by_chance].min(initial=1.0)
    drawn = np.array([_drawn(seen.queries[i], float(seen.times[i])) for i in pairs])
    kept = ~by_chance | (drawn * chances < least)
    pairs = np.random.default_rng(0).permutation(pairs[kept])
    return np.asarray(pairs[np.argsort(seen.times[pairs], kind="stable")])


def _drawn(query: str, at: float) -> float:
    """In [0, 1), the same for the same query and time."""
    digest = hashlib.blake2b(f"{at!r} {query}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
