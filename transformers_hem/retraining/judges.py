"""Which rows may judge a challenger: those that came back from use, and that the champion has not
learned."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from transformers_hem.arrays import Indices
from transformers_hem.lifelong.contest import LEAST_PAIRS
from transformers_hem.lifelong.observations import Observations
from transformers_hem.routers.fingerprints import fingerprint

LEAST: Final = 10 * LEAST_PAIRS  # pairs that came back; with fewer the base rows judge, too


@dataclass(frozen=True, slots=True)
class Rows:
    """`judges` are the rows of `seen` that may judge and be held out; all are learned from."""

    seen: Observations
    judges: Indices


def judges(
    seen: Observations,
    base: int,
    known: frozenset[bytes],
    limit: int | None = None,
    seed: int = 0,
    *,
    stand_in: bool = False,
) -> Rows:
    """The first `base` rows are base data. `known` are fingerprints of the champion's queries.
    `limit`: at most so many rows, the newest and a draw of the others. `stand_in`: base rows judge
    in any case, as a promise stands on some of them."""
    chosen = _drawn(seen, limit, seed)
    rows = seen if len(chosen) == len(seen) else seen.subset(chosen)
    used = np.flatnonzero(chosen >= base)
    if stand_in or int((rows.paired & rows.trusted)[used].sum()) < LEAST:
        used = np.arange(len(rows))
    new = [i for i in used if fingerprint(rows.queries[i]) not in known]
    return Rows(rows, np.array(new, dtype=np.int64))


def _drawn(seen: Observations, limit: int | None, seed: int) -> Indices:
    """Half of them the newest, the others drawn by `seed`."""
    rows = np.arange(len(seen))
    if limit is None or len(rows) <= limit:
        return rows
    by_time = rows[np.argsort(seen.times, kind="stable")]
    cut = len(by_time) - limit // 2
    drawn = np.random.default_rng(seed).choice(by_time[:cut], limit - limit // 2, replace=False)
    return np.sort(np.concatenate([drawn, by_time[cut:]]))
