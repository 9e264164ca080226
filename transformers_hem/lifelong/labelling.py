"""From observations to the labels that learners take."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from transformers_hem.arrays import Floats, Indices
from transformers_hem.labels.labels import Labels
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.outcomes import expected, inverse_propensities

# That an inverse propensity counts in training; 1: not at all. A regression of each side needs no
# weights, as the route was chosen by the query alone, which the regression sees; see
# docs/lifelong.md for what weights cost.
MOST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Labelled:
    """`labels` has one row a query; `rows` int [N]: the one of each observation."""

    labels: Labels
    rows: Indices


def labels_of(seen: Observations, most: float = MOST) -> Labelled:
    """Equal queries become one row, with the weighted mean of what was seen on each side and the
    sum of the weights, so that no fold of a learner knows what another is tested on.

    A side that was not seen is labelled as it is expected to do, and weighs 0: learners that fit
    each side by itself leave it out, others take the guess.
    """
    inverse = inverse_propensities(seen.propensities[:, :2], seen.seen, most)
    weights = seen.weights[:, None] * inverse
    places: dict[str, int] = {}
    rows = np.array([places.setdefault(query, len(places)) for query in seen.queries])
    total, outcomes = _merged(rows, len(places), weights, seen.outcomes)
    queries = list(places)
    if len(lacking := np.flatnonzero((total <= 0).any(axis=1))):
        guess = expected(seen, [queries[i] for i in lacking], weights)
        outcomes[lacking] = np.where(total[lacking] > 0, outcomes[lacking], guess)
    edge, cloud = outcomes.T
    labels = Labels(queries, edge, cloud, 1.0, fingerprint_of(queries, outcomes), weights=total)
    return Labelled(labels, rows)


def _merged(rows: Indices, count: int, weights: Floats, outcomes: Floats) -> tuple[Floats, Floats]:
    """The sums of the weights, and the weighted means of the outcomes, both [count, 2]."""
    total, mean = np.zeros((count, 2)), np.zeros((count, 2))
    np.add.at(total, rows, weights)
    np.add.at(mean, rows, np.where(weights > 0, weights * np.nan_to_num(outcomes), 0.0))
    return total, np.divide(mean, total, mean, where=total > 0)


def fingerprint_of(queries: list[str], outcomes: Floats) -> str:
    """Of what a router learned from, for its config.json."""
    found = hashlib.sha256()
    for query, outcome in zip(queries, outcomes.tolist(), strict=True):
        found.update(orjson.dumps([query, *outcome]) + b"\n")
    return found.hexdigest()
