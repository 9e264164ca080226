"""Which rows a challenger learns from, which are kept from it, and which ones judge it."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from transformers_hem.arrays import Floats, Indices
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.recalibration import plain_sample
from transformers_hem.routers.fingerprints import fingerprint

NEWEST: Final = 2000  # rows that judge at most
RESERVED: Final = 0.5  # of the queries of pairs among them, for a threshold with a promise


@dataclass(frozen=True, slots=True)
class Windows:
    """Rows of `Observations`, in the order of time.

    `train`: to learn from. `reserved`: pairs that the challenger never sees. `judging`: the newest
    rows that the champion never saw, the reserved ones among them. `plain`: those of them that are
    a plain sample of the traffic, see `recalibration.py`.
    """

    train: Indices
    reserved: Indices
    judging: Indices
    plain: Indices


def windows(
    seen: Observations,
    used: Indices,
    since: float,
    newest: int = NEWEST,
    share: float = RESERVED,
    held: frozenset[bytes] = frozenset(),
) -> Windows:
    """`used`: the rows that came back from use; all others, base rows, are learned from. `since`:
    what came until then the champion has learned from, so that it doesn't judge.

    A `share` of the pairs is reserved, by a hash of the query: equal queries are on one side. They
    are pairs of a plain sample, as a threshold can stand on no others: the rest is learned from.
    Where a threshold stands on queries alone the share is 0, and `held` are the fingerprints of
    what is kept from the challenger, whatever came back of it.
    """
    order = used[np.argsort(seen.times[used], kind="stable")]
    judging = order[seen.times[order] > since][-newest:]
    paired = seen.paired & seen.trusted
    plain = judging[plain_sample(seen.subset(judging))]
    of_pairs = {q for i in plain if _drawn(q := seen.queries[i]) < share}
    kept = of_pairs.copy()
    if held:
        kept |= {query for query in set(seen.queries) if fingerprint(query) in held}
    reserved = [i for i in judging if paired[i] and seen.queries[i] in kept]
    everything = np.concatenate([np.setdiff1d(np.arange(len(seen)), used), order])
    train = [i for i in everything if seen.queries[i] not in kept]
    known = np.array([seen.queries[i] in of_pairs and not paired[i] for i in judging], dtype=bool)
    return Windows(_rows(train), _rows(reserved), judging[~known], plain)


def recency(times: Floats, now: float, half_life: float) -> Floats:
    """[N]: 1 for a row of now, a half for one that is a `half_life` old."""
    return np.asarray(0.5 ** (np.maximum(now - times, 0.0) / half_life))


def _rows(rows: list[int]) -> Indices:
    return np.array(rows, dtype=np.int64)


def _drawn(query: str) -> float:
    """In [0, 1), always the same for one query."""
    digest = hashlib.blake2b(query.encode(), digest_size=8, person=b"reserved").digest()
    return int.from_bytes(digest, "big") / 2**64
