"""What the side that nobody saw would have done: a regression for each side, and the doubly robust
estimate that stands on it.

The direct method takes what the regressions say, and is biased where they are. The doubly robust
estimate adds their error on what was seen, by its inverse propensity: right on average where either
the regressions or the propensities are (Dudik, Langford and Li 2011, arXiv 1103.4601; Robins,
Rotnitzky and Zhao 1994). Inverse propensities are clipped, which bounds what one row can say at the
price of a bias (Ionides 2008; Bottou et al. 2013, arXiv 1209.2355), and divided by their mean,
self-normalised (Hajek 1971; Swaminathan and Joachims 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from transformers_hem.arrays import Flags, Floats, Indices
from transformers_hem.lifelong.observations import Observations
from transformers_hem.routers.fitting import Linear, both_logistic
from transformers_hem.routers.linear.features import TextFeatures
from transformers_hem.routers.linear.texts import CONFIG, Texts, columns_of, fit, matrix

STRENGTH: Final = 1.0  # the inverse of the regularisation's
MOST: Final = 10.0  # that an inverse propensity counts
ONE_ROW: Final = 1.0  # squared error of a row that is all wrong, which a slope is shrunk by
FOLDS: Final = 5


def inverse_propensities(propensities: Floats, seen: Flags, most: float = MOST) -> Floats:
    """[N, sides], of propensities [N, sides]: clipped at `most`, 0 where not seen, and each side's
    mean over what was seen is 1."""
    inverse = np.where(seen, clipped_inverse(propensities, most), 0.0)
    count, total = seen.sum(axis=0), inverse.sum(axis=0)
    return np.asarray(inverse * np.divide(count, total, np.zeros(len(total)), where=total > 0))


def clipped_inverse(propensities: Floats, most: float) -> Floats:
    """Of 0, which nothing can be seen with, it is `most` too."""
    return np.asarray(np.minimum(1 / np.maximum(propensities, 1 / most), most))


def expected(seen: Observations, queries: Sequence[str], weights: Floats | None = None) -> Floats:
    """[M, 2]: what each side is expected to do on `queries`, by logistic regression on the words
    of what was seen, weighted by `weights` [N, 2] or its own."""
    counted = _each_side(seen) if weights is None else weights
    known, asked = (seen.reading.of(texts) for texts in (seen.queries, queries))
    return _Regressions.fit(known, seen.outcomes, counted).expect(asked)


def cross_fitted(seen: Observations, groups: Indices) -> Floats:
    """[N, 2]: as `expected`, each row by regressions that saw none of its group. Rows of group -1
    are in all of them, and get NaN."""
    texts, weights = seen.reading.of(seen.queries), _each_side(seen)
    found = np.full(seen.outcomes.shape, np.nan)
    before: _Regressions | None = None
    for group in np.unique(groups[groups >= 0]):
        asked, others = np.flatnonzero(groups == group), np.flatnonzero(groups != group)
        before = _Regressions.fit(
            texts.subset(others), seen.outcomes[others], weights[others], before
        )
        found[asked] = before.expect(texts.subset(asked))
    return found


@dataclass(frozen=True, slots=True)
class _Regressions:
    """One for each side: of the `features` of the texts that they were fitted to."""

    features: TextFeatures
    sides: list[Linear]

    @classmethod
    def fit(
        cls, texts: Texts, outcomes: Floats, weights: Floats, near: "_Regressions | None" = None
    ) -> "_Regressions":
        """Of outcomes [N, 2], NaN where a side was not seen. Of `near`, which are of nearly the
        same rows, the search begins."""
        features = fit(CONFIG, texts)
        columns = columns_of(features)
        starts = [None, None] if near is None else [near.at(side, columns) for side in range(2)]
        counted = list(np.where(np.isnan(outcomes), 0.0, weights).T)
        targets = list(np.nan_to_num(outcomes).T)
        rows = matrix(features, texts)
        return cls(features, both_logistic(rows, targets, STRENGTH, counted, starts))

    def at(self, side: int, columns: Indices) -> Linear:
        """Coefficients of these columns, 0 of those that were not seen here."""
        coefficients, intercept = self.sides[side]
        every = np.zeros(self.features.config.width)
        every[columns_of(self.features)] = coefficients
        return every[columns], intercept

    def expect(self, texts: Texts) -> Floats:
        """[M, 2]"""
        rows = matrix(self.features, texts)
        sums = [rows @ coefficients + intercept for coefficients, intercept in self.sides]
        return np.asarray(expit(np.stack(sums, axis=1)))


def doubly_robust(seen: Observations, guess: Floats, most: float = MOST) -> Floats:
    """[N, 2]: the doubly robust estimates of both sides' outcomes from a guess [N, 2]. Means of
    them are estimates of means, and so of a routing's quality; a single one may lie outside of
    [0, 1]."""
    inverse = clipped_inverse(seen.propensities[:, :2], most)
    error = np.where(seen.seen, seen.outcomes - guess, 0.0)
    return np.asarray(guess + inverse * error)


def told_by_the_other(seen: Observations, guess: Floats) -> Floats:
    """[N, 2]: the guess of a side that only chance shows, made better by how the side that surely
    is seen did on the same query: where one errs, the other mostly does.

    Whether a row became a pair depends on neither outcome, so a doubly robust estimate stays right
    on average with whatever guess the surely seen side gives (a control variate); what is left to
    chance is smaller. One slope for each side, of the pairs' errors of both: near 0 where the first
    side hardly ever errs, as then nothing tells it.
    """
    sure, found = seen.propensities[:, :2] >= 1, guess.copy()
    error = seen.outcomes - guess
    for side in range(2):
        rows = sure[:, 1 - side] & ~sure[:, side] & seen.seen[:, 1 - side]
        first, second = error[rows & seen.paired][:, [1 - side, side]].T
        slope = float(first @ second / (first @ first + ONE_ROW))
        found[rows, side] += slope * error[rows, 1 - side]
    return np.asarray(found)


def among_returned(seen: Observations) -> Floats:
    """[N, 2]: how likely each side was seen, of rows that came back.

    A pair comes back always, what users say seldom. So among rows that came back more are pairs
    than the shadow share of all queries says, and dividing by that would correct too much. What
    counts is the share of pairs among the rows that the other side served, by the rows' weights:
    of a row that counts half there is half a one.
    """
    chances = seen.propensities[:, :2].copy()
    for side in range(2):
        by_other = chances[:, side] < 1
        weights = seen.weights[by_other]
        if (total := weights.sum()) > 0:
            chances[by_other, side] = weights @ seen.seen[by_other, side] / total
    return np.asarray(chances)


def _each_side(seen: Observations) -> Floats:
    return np.repeat(seen.weights[:, None], 2, axis=1)
