"""How far a client's feedback is believed: a cap on what one client can say, and less weight for
who disagrees with all others (`disagreement.py`).

Disagreement is looked for in all that a client said, in the newest half of it and in the newest
quarter: who was honest for long and then lies is believed up to then. Clients with few reports are
looked at together, and so are those without a name.
"""

from typing import Final

import numpy as np

from transformers_hem.arrays import Flags, Floats, Indices
from transformers_hem.lifelong.disagreement import disagreement
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.others import Opinions

SHARE: Final = 0.05  # of all rows' weight, base rows included, that one client can have
FEWEST: Final = 5.0  # rows that it can have in any case
FEW: Final = 10  # reports; who has less is looked at together with all such clients
DOUBT: Final = 2.5  # standard deviations from which on a client counts less
DISBELIEF: Final = 4.0  # and from which on not at all
NEWEST: Final = (1.0, 0.5, 0.25)  # shares of a client's reports that are looked at
POOL, UNNAMED = 0, 1  # speakers that are many: with few reports, and without a name
ROUNDS: Final = 3  # the first asks what needs no trust; then others by how far they're believed
KNOWN: Final = 20_000  # rows that nobody said, base rows and pairs, that are asked at most


def capped(seen: Observations, share: float = SHARE, fewest: float = FEWEST) -> Floats:
    """[N]: the rows' weights, no client's sum above `share` of all rows' or `fewest` rows. A
    report on both sides is two. Who gave no name is not capped: it may be everybody."""
    loads = seen.weights * seen.seen.sum(axis=1)
    most = max(share * float(seen.weights.sum()), fewest)
    factor = _factors(_totals(seen.clients, loads, len(seen.names)), most)
    return _by_client(seen, factor)


def trusted(seen: Observations, seed: int = 0) -> Floats:
    """[N]: the rows' weights by how far their clients are believed. Base rows and shadow pairs
    need no trust: no client has said them."""
    said = np.flatnonzero(~seen.trusted)
    said = said[np.argsort(seen.times[said], kind="stable")]
    if not len(said):
        return seen.weights
    opinions = Opinions(seen, _known(seen, seed), said)
    speakers = _speakers(seen.clients[said])
    votes = _votes(seen.weights[said], speakers)
    belief = np.zeros(len(said))
    for _ in range(ROUNDS):
        sides = opinions.weighted(votes * belief)
        for speaker in np.unique(speakers):
            rows = np.flatnonzero(speakers == speaker)
            newest = _newest(len(rows))
            found = believed(disagreement(opinions, sides, rows, newest))
            belief[rows] = np.where(newest, found[:, None], 1.0).min(axis=0)
    weights = seen.weights.copy()
    weights[said] *= belief
    return weights


def believed(deviations: Floats) -> Floats:
    """From standard deviations to a weight: 1 up to `DOUBT`, then the square of how far above it,
    as in Hampel's and Tukey's estimators 0 from `DISBELIEF` on."""
    beyond = np.maximum(deviations, DOUBT)
    return np.asarray(np.where(deviations < DISBELIEF, (DOUBT / beyond) ** 2, 0.0))


def _newest(count: int) -> Flags:
    """[len(NEWEST), count]: which of a speaker's rows are in the newest share of them."""
    first = [count - int(np.ceil(share * count)) for share in NEWEST]
    return np.arange(count) >= np.array(first)[:, None]


def _known(seen: Observations, seed: int) -> Indices:
    """Rows that need no trust: of too many half are the newest, the others drawn."""
    rows = np.flatnonzero(seen.trusted & (seen.weights > 0))
    if len(rows) <= KNOWN:
        return rows
    by_time = rows[np.argsort(seen.times[rows], kind="stable")]
    old, new = by_time[: -KNOWN // 2], by_time[-KNOWN // 2 :]
    drawn = np.random.default_rng(seed).choice(old, KNOWN - len(new), replace=False)
    return np.concatenate([drawn, new])


def _speakers(clients: Indices) -> Indices:
    """[n]: who speaks: a client from 2 on; all who gave no name, and all with few reports."""
    speakers = np.where(clients < 0, UNNAMED, clients + 2)
    few = np.bincount(speakers) < FEW
    return np.where(few[speakers], POOL, speakers)


def _votes(weights: Floats, speakers: Indices) -> Floats:
    """[n]: weights of which no speaker has more than the median one, so that who says most doesn't
    outvote all others. Those with few reports, who are easily made up, have as much as all others
    together."""
    totals = _totals(speakers, weights, int(speakers.max()) + 1)
    most = max(float(np.median(totals[totals > 0])), FEW) if totals.any() else FEW
    limits = np.full(len(totals), float(most))
    limits[POOL] = max(most, float(np.minimum(totals[POOL + 1 :], most).sum()))
    return np.asarray(weights * _factors(totals, limits)[speakers])


def _factors(totals: Floats, most: float | Floats) -> Floats:
    return np.asarray(np.minimum(1.0, most / np.maximum(totals, 1e-12)))


def _totals(who: Indices, weights: Floats, count: int) -> Floats:
    known = who >= 0
    return np.bincount(who[known], weights=weights[known], minlength=count).astype(float)


def _by_client(seen: Observations, factor: Floats) -> Floats:
    if not len(factor):
        return seen.weights
    return np.asarray(seen.weights * np.where(seen.clients >= 0, factor[seen.clients], 1.0))
