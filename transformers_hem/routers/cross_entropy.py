"""The mean cross-entropy of a linear model with a penalty on its squares, for scipy's solvers.

Targets are shares, so that a row needs not stand there once as right and once as wrong; rows are
never copied; and a search may begin where another one, of nearly the same problem, has ended.
"""

from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from transformers_hem.arrays import Floats

# The length of the gradient to stop at. With weak regularisation a looser one stops at weights that
# depend on how a processor rounds; of a tighter one the rounding of the loss itself would be seen.
TOLERANCE: Final = 2e-8
_OPTIONS: Final = {
    "gtol": TOLERANCE,
    "maxiter": 200,
    "initial_trust_radius": 1e3,
    "max_trust_radius": 1e6,
}


class CrossEntropy:
    """Of `rows` [N, columns], an array or a sparse matrix of float64; `target` [N] in [0, 1];
    `weights` [N], whose sum is 1; `penalty` times half of the coefficients' squares.

    A point is float [columns + 1]: coefficients and intercept, the latter without a penalty.
    """

    def __init__(self, rows: Any, target: Floats, weights: Floats, penalty: float) -> None:
        self._rows, self._columns = rows, rows.T
        self._target, self._weights, self._penalty = target, weights, penalty
        self._at = self._bends = np.zeros(0)

    def minimum(self, start: Floats) -> Floats:
        """The point of the least value, searched for from `start` on by Newton steps that
        conjugate gradients find (Nocedal and Wright 2006, algorithm 7.2)."""
        found = minimize(
            self._value_and_slope,
            start,
            method="trust-ncg",
            jac=True,
            hessp=self._bent,
            options=_OPTIONS,
        )
        return np.asarray(found.x)

    def _value_and_slope(self, point: Floats) -> tuple[float, Floats]:
        sums = self._sums(point)
        losses = np.logaddexp(0, sums) - self._target * sums
        value = self._weights @ losses + self._penalty / 2 * (point[:-1] @ point[:-1])
        chances = expit(sums)
        self._at, self._bends = point.copy(), self._weights * chances * (1 - chances)
        return float(value), self._back(self._weights * (chances - self._target), point)

    def _bent(self, point: Floats, step: Floats) -> Floats:
        """The second derivatives at a point times a step."""
        if not np.array_equal(point, self._at):
            self._value_and_slope(point)
        return self._back(self._bends * self._sums(step), step)

    def _sums(self, point: Floats) -> Floats:
        return np.asarray(self._rows @ point[:-1] + point[-1])

    def _back(self, of_rows: Floats, point: Floats) -> Floats:
        """From derivatives by each row's sum to those by the point."""
        return np.append(self._columns @ of_rows + self._penalty * point[:-1], of_rows.sum())
