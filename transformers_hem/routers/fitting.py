"""What learners fit with: folds of rows, and logistic regression on shares of right answers."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from transformers_hem.arrays import Flags, Floats, Indices
from transformers_hem.routers.cross_entropy import CrossEntropy

FOLDS = 5
WORTH_A_COPY = 0.75  # where less of the rows count than that, those alone are copied

# Coefficients, float [columns], and intercept.
Linear = tuple[Floats, float]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """`scores` float [N]: the raw difficulty of rows, each by a model that never saw it; `models`
    int [N]: by which one. Scores of two models may lie apart, so rows are best compared with those
    of the same model."""

    scores: Floats
    models: Indices

    @classmethod
    def of(cls, scores: Floats, parts: Sequence[tuple[Indices, Indices]]) -> "OutOfFold":
        """Of the models that learned from the first rows of each of `folds`."""
        models = np.zeros(len(scores), np.int64)
        for number, (_, test) in enumerate(parts):
            models[test] = number
        return cls(scores, models)


def folds(hard: Flags, seed: int) -> list[tuple[Indices, Indices]]:
    """Pairs of rows to fit to and the other rows, five or as many as the rarer kind has rows; each
    row is among the others once, and hard ones are spread evenly. Two of either kind are needed."""
    smallest = int(min(hard.sum(), (~hard).sum()))
    parts = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    return list(parts.split(hard, hard))


def logistic(
    rows: Any, target: Floats, c: float, weights: Floats | None = None, start: Linear | None = None
) -> Linear:
    """Coefficients, float [columns], and intercept, from an array or a sparse matrix [N, columns].

    `c` is the inverse of the regularisation's strength. A target between 0 and 1 counts as a row
    of either kind, weighted by its share. Rows that weigh 0 of `weights` [N] don't count. The
    search begins at `start`, by default at 0, and ends at the same place. In float64: in float32
    the gradient is not that exact.
    """
    if weights is None:
        weights = np.ones(len(target))
    counted = weights > 0
    if counted.mean() < WORTH_A_COPY:
        rows, target, weights = rows[counted], target[counted], weights[counted]
        counted = counted[counted]
    right, wrong = int((target[counted] > 0).sum()), int((target[counted] < 1).sum())
    if right == 0 or wrong == 0:  # a model that is never, or always, right
        return np.zeros(rows.shape[1]), math.log((right + 0.5) / (wrong + 0.5))
    total = float(weights.sum())
    loss = CrossEntropy(_exact(rows), target, weights / total, 1 / (c * total))
    coefficients, intercept = start or (np.zeros(rows.shape[1]), 0.0)
    found = loss.minimum(np.append(coefficients, intercept))
    return found[:-1], float(found[-1])


def both_logistic(
    rows: Any,
    targets: Sequence[Floats],
    c: float,
    weights: Sequence[Floats | None],
    starts: Sequence[Linear | None] = (None, None),
) -> list[Linear]:
    """Of both sides at the same time, in two threads: products with sparse matrices leave Python's
    lock to others."""
    exact = _exact(rows)
    with one_blas_thread(), ThreadPoolExecutor(2) as pool:
        return list(pool.map(logistic, (exact,) * 2, targets, (c,) * 2, weights, starts))


def one_blas_thread() -> AbstractContextManager[Any]:
    """For regressions on sparse rows: BLAS has only vectors to add up there, and its threads, which
    wait for each other without sleeping, would take a busy machine's time twenty times over."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def _exact(rows: Any) -> Any:
    return rows.astype(np.float64, copy=False)
