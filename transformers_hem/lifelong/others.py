"""What all others say of a client's queries: a ridge regression for each side, and what it would be
without one client, by linear algebra instead of another fit.

With A the penalised Gram matrix of all rows, K = X inv(A) X' of one client's rows X, W their
weights and e their residuals, the regression without them misses them by inv(I - K W) e, and is as
unsure of them as inv(I - K W) K says, in units of the noise (Cook and Weisberg 1982, chapter 2, of
leaving out one row; this is for many). Of more rows than columns A itself is made without.

Queries are read as `LinearRouter` reads them, TF-IDF of hashed words and lengths; the words are
hashed once more, into `WIDTH` columns with a sign (Weinberger et al. 2009, arXiv 0902.2206).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix

from transformers_hem.arrays import Floats, Indices, Values
from transformers_hem.lifelong.observations import Observations
from transformers_hem.routers.linear.texts import CONFIG, Texts, columns_of, fit, matrix

WIDTH: Final = 512
PENALTY: Final = 3.0  # of the coefficients of words and lengths
# Of the levels of all rows, of what users say, and of what they compare. Users may be kinder, or
# stricter, than a scorer is: that is theirs, and no lie, once about ten rows say so.
LEVEL_PENALTIES: Final = (0.01, 10.0, 10.0)
LEAST: Final = 0.02  # that an outcome is expected to be; and 1 less it at most
LEAST_NOISE: Final = 0.01
CHUNK: Final = 4096  # rows at a time, in float64

# From directions [k, n] to the variances [k] of what the regression says along them.
Unsure = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Sums:
    """Of rows of one side, weighted: the Gram matrix, the moments with outcomes, the outcomes'
    squares, and the weights themselves."""

    gram: Floats
    moment: Floats
    square: float
    total: float

    @classmethod
    def of(cls, rows: Values, outcomes: Floats, weights: Floats) -> "Sums":
        columns = rows.shape[1]
        gram, moment = np.zeros((columns, columns)), np.zeros(columns)
        for first in range(0, len(rows), CHUNK):
            part = slice(first, first + CHUNK)
            roots = np.sqrt(weights[part])
            scaled = rows[part] * roots[:, None]
            gram += scaled.T @ scaled
            moment += scaled.T @ (roots * outcomes[part])
        square = float(weights @ outcomes**2)
        return cls(gram, moment, square, float(weights.sum()))

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.gram + other.gram,
            self.moment + other.moment,
            self.square + other.square,
            self.total + other.total,
        )


class Regression:
    """Of one side: of what nobody said, `known`, and of n rows that clients did, `rows` float32
    [n, columns], `outcomes` and `weights` [n]. `noise` is the variance around it."""

    def __init__(self, known: Sums, rows: Values, outcomes: Floats, weights: Floats) -> None:
        self._rows, self._outcomes, self._weights = rows, outcomes, weights
        sums = known + Sums.of(rows, outcomes, weights)
        words = rows.shape[1] - len(LEVEL_PENALTIES)
        penalties = np.concatenate([np.full(words, PENALTY), LEVEL_PENALTIES])
        self._gram, self._moment = sums.gram + np.diag(penalties), sums.moment
        self._factor = cho_factor(self._gram)
        self._coefficients = beta = cho_solve(self._factor, sums.moment)
        missed = sums.square - 2 * beta @ sums.moment + beta @ sums.gram @ beta
        self.noise = max(missed / sums.total, LEAST_NOISE) if sums.total else 0.25

    def without(self, chosen: Indices) -> tuple[Floats, Unsure]:
        """[n]: what is expected of rows, by a regression without them, and how unsure it is."""
        rows = self._rows[chosen].astype(float)
        outcomes, weights = self._outcomes[chosen], self._weights[chosen]
        if len(chosen) > rows.shape[1]:
            weighted = rows.T * weights
            factor = cho_factor(self._gram - weighted @ rows)
            beta = cho_solve(factor, self._moment - weighted @ outcomes)
            return _bounded(rows @ beta), self._along(rows, lambda sides: cho_solve(factor, sides))
        kernel = rows @ cho_solve(self._factor, rows.T)
        missed = outcomes - rows @ self._coefficients
        left = np.eye(len(rows)) - kernel * weights
        found = np.linalg.solve(left, np.column_stack([missed, kernel]))
        spread = found[:, 1:] * self.noise
        return (
            _bounded(outcomes - found[:, 0]),
            lambda along: np.einsum("kn,nm,km->k", along, spread, along, optimize=True),
        )

    def _along(self, rows: Floats, solve: Callable[[Floats], Floats]) -> Unsure:
        def unsure(along: Floats) -> Floats:
            sides = along @ rows
            return np.asarray(self.noise * np.einsum("kd,dk->k", sides, solve(sides.T)))

        return unsure


def _bounded(guess: Floats) -> Floats:
    return np.clip(guess, LEAST, 1 - LEAST)


class Opinions:
    """What needs no trust, rows `known` of `seen`, and what was `said`, in that order."""

    def __init__(self, seen: Observations, known: Indices, said: Indices) -> None:
        rows = hashed(seen.reading.of([seen.queries[i] for i in [*known, *said]]))
        paired, levels = seen.paired[said], rows[:, -len(LEVEL_PENALTIES) :]
        levels[:, 0] = 1
        levels[len(known) :, 1], levels[len(known) :, 2] = ~paired, paired
        first, weights = rows[: len(known)], seen.weights[known]
        self._known = [Sums.of(first, seen.outcomes[known, side], weights) for side in range(2)]
        self.outcomes, self.shown = seen.outcomes[said], seen.seen[said]
        self._places = [np.flatnonzero(self.shown[:, side]) for side in range(2)]
        self._rows = [rows[len(known) + places] for places in self._places]

    def weighted(self, weights: Floats) -> list["Side"]:
        """Both sides' regressions, where the rows that were said count by `weights`."""
        sides = []
        for side, (places, rows) in enumerate(zip(self._places, self._rows, strict=True)):
            outcomes = self.outcomes[places, side]
            found = Regression(self._known[side], rows, outcomes, weights[places])
            of_row = np.full(len(weights), -1)
            of_row[places] = np.arange(len(places))
            sides.append(Side(found, of_row))
        return sides


@dataclass(frozen=True, slots=True)
class Side:
    """`places` [n]: of each row that was said, its place in the regression, -1 where not shown."""

    regression: Regression
    places: Indices

    def without(self, rows: Indices) -> tuple[Floats, Unsure]:
        """As of the regression, of rows that all show the side."""
        return self.regression.without(self.places[rows])


def hashed(texts: Texts) -> Values:
    """[N, words, lengths and levels], the levels 0."""
    features = fit(CONFIG, texts)
    place, buckets = columns_of(features), CONFIG.buckets
    columns = np.where(place < buckets, place % WIDTH, WIDTH + place - buckets)
    signs = np.where(place < buckets, 1 - 2 * (place // WIDTH % 2), 1).astype(np.float32)
    count = WIDTH + CONFIG.width - buckets
    onto = csr_matrix((signs, columns, np.arange(len(place) + 1)), shape=(len(place), count))
    rows = np.zeros((len(texts.open), count + len(LEVEL_PENALTIES)), dtype=np.float32)
    for first in range(0, len(rows), CHUNK):
        part = np.arange(first, min(first + CHUNK, len(rows)))
        rows[part, :count] = (matrix(features, texts.subset(part)) @ onto).toarray()
    return rows
