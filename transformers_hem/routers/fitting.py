"""What learners fit with: folds of rows, and logistic regression on shares of right answers."""

import math
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from transformers_hem.arrays import Flags, Floats, Indices

FOLDS = 5

# The largest gradient of the mean loss to stop at. With weak regularisation a looser one stops at
# weights that depend on how a processor rounds.
TOLERANCE = 1e-8


def folds(hard: Flags, seed: int) -> list[tuple[Indices, Indices]]:
    """Pairs of rows to fit to and the other rows, five or as many as the rarer kind has rows; each
    row is among the others once, and hard ones are spread evenly. Two of either kind are needed."""
    smallest = int(min(hard.sum(), (~hard).sum()))
    parts = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    return list(parts.split(hard, hard))


def logistic(
    rows: Any, target: Floats, c: float, weights: Floats | None = None
) -> tuple[Floats, float]:
    """Coefficients, float [columns], and intercept, from an array or a sparse matrix [N, columns].

    `c` is the inverse of the regularisation's strength. A target between 0 and 1 counts as a row
    of either kind, weighted by its share. Rows that weigh 0 of `weights` [N] don't count. In
    float64: in float32 the gradient is not that exact.
    """
    if weights is not None:
        counted = np.flatnonzero(weights > 0)
        rows, target, weights = rows[counted], target[counted], weights[counted]
    right, wrong = np.flatnonzero(target > 0), np.flatnonzero(target < 1)
    if len(right) == 0 or len(wrong) == 0:  # a model that is never, or always, right
        return np.zeros(rows.shape[1]), math.log((len(right) + 0.5) / (len(wrong) + 0.5))
    kinds = np.repeat([1, 0], [len(right), len(wrong)])
    shares = np.concatenate([target[right], 1 - target[wrong]])
    if weights is not None:
        shares = shares * np.concatenate([weights[right], weights[wrong]])
    model = LogisticRegression(C=c, solver="newton-cg", tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # cross-validation tests the fit
        model.fit(
            rows[np.concatenate([right, wrong])].astype(np.float64), kinds, sample_weight=shares
        )
    return model.coef_[0], float(model.intercept_[0])
