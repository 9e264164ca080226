"""How far a client's feedback is believed: a cap on what one client can say, and less weight for
who disagrees with everybody else.

What others say of a client's queries is the expectation of regressions that saw nothing of that
client: base rows, shadow pairs, and all other clients. Three sums over the client's reports would
be near 0 if it were honest: outcome minus expectation on either side, which grows for who always
calls an answer good or bad; and the squared error beyond what chance makes, which grows for who
says the opposite or draws lots. Each is compared with its standard deviation, in which `SLACK` is
allowed to be shared by all of a client's reports: people differ, and regressions err.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from transformers_hem.arrays import Floats, Indices
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.outcomes import FOLDS, cross_fitted

SHARE: Final = 0.05  # of all rows' weight, base rows included, that one client can have
FEWEST: Final = 5.0  # rows that it can have in any case
SLACK: Final = 0.05  # of an outcome, a client's own standard or a regression's error
DOUBT: Final = 2.5  # standard deviations from which on a client counts less
DISBELIEF: Final = 4.0  # and from which on not at all
ROUNDS: Final = 2  # of which each fits with the weights of the one before


def capped(seen: Observations, share: float = SHARE, fewest: float = FEWEST) -> Floats:
    """[N]: the rows' weights, no client's sum above `share` of all rows' or `fewest` rows."""
    totals = _totals(seen, seen.weights)
    most = max(share * float(seen.weights.sum()), fewest)
    factor = np.minimum(1.0, most / np.maximum(totals, 1e-12))
    return _by_row(seen, seen.weights, factor)


def trusted(seen: Observations, seed: int = 0) -> Floats:
    """[N]: the rows' weights by how far their clients are believed."""
    said = seen.clients >= 0
    if len(np.unique(seen.clients[said])) < 2:
        return seen.weights
    groups = _groups(seen, seed)
    belief = np.ones(len(seen.names))
    for _ in range(ROUNDS):
        weighted = replace(seen, weights=_by_row(seen, seen.weights, belief))
        belief = believed(disagreement(seen, cross_fitted(weighted, groups)))
    return _by_row(seen, seen.weights, belief)


def believed(deviations: Floats) -> Floats:
    """From standard deviations to a weight: 1 up to `DOUBT`, then the square of how far above it,
    as in Hampel's and Tukey's estimators 0 from `DISBELIEF` on."""
    beyond = np.maximum(deviations, DOUBT)
    return np.asarray(np.where(deviations < DISBELIEF, (DOUBT / beyond) ** 2, 0.0))


def disagreement(seen: Observations, guess: Floats) -> Floats:
    """[clients]: standard deviations by which a client's reports disagree with a guess [N, 2] that
    knows nothing of it; the largest of the three."""
    clients = np.repeat(seen.clients[:, None], 2, axis=1)
    counted = seen.seen & (clients >= 0) & ~np.isnan(guess)
    found = []
    for side in range(2):
        known = counted[:, side]
        chance, who = guess[known, side], seen.clients[known]
        error = seen.outcomes[known, side] - chance
        found.append(np.abs(_deviations(error, chance * (1 - chance), who, len(seen.names))))
    chance, who = guess[counted], clients[counted]
    spread = chance * (1 - chance)
    excess = (seen.outcomes[counted] - chance) ** 2 - spread
    found.append(_deviations(excess, spread * (1 - 2 * chance) ** 2, who, len(seen.names)))
    return np.asarray(np.max(found, axis=0))


def _deviations(values: Floats, variances: Floats, who: Indices, clients: int) -> Floats:
    total, variance, count = (
        np.bincount(who, weights=each, minlength=clients)
        for each in (values, variances, np.ones(len(values)))
    )
    return np.asarray(total / np.sqrt(np.maximum(variance + (SLACK * count) ** 2, 1e-12)))


def _groups(seen: Observations, seed: int) -> Indices:
    """[N]: the fold of the row's client, -1 for rows that nobody said."""
    order = np.random.default_rng(seed).permutation(len(seen.names))
    folds = order % min(FOLDS, len(seen.names))
    return np.asarray(np.where(seen.clients >= 0, folds[seen.clients], -1))


def _totals(seen: Observations, weights: Floats) -> Floats:
    said = seen.clients >= 0
    found = np.bincount(seen.clients[said], weights=weights[said], minlength=len(seen.names))
    return np.asarray(found, dtype=float)


def _by_row(seen: Observations, weights: Floats, factor: Floats) -> Floats:
    """[N]: weights times the factor of the row's client."""
    if not len(factor):
        return weights
    return np.asarray(weights * np.where(seen.clients >= 0, factor[seen.clients], 1.0))
