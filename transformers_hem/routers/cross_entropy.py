"""The mean cross-entropy of a linear model with a penalty on its squares, as scipy's solvers take it.

Each coefficient is asked for in a unit of its own, one over the root of the second derivative at the
origin: Jacobi's preconditioning. Columns of rare words are next to empty and those of common ones
are not, so that conjugate gradients would take many more steps without (Hsia, Chiang and Lin 2018,
"Preconditioned conjugate gradient methods in truncated Newton frameworks").
"""

from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit

from transformers_hem.arrays import Floats

# The slope to stop at, in those units: what the loss could still fall by is half of its square.
# With weak regularisation a looser one stops at weights that depend on how a processor rounds; of a
# tighter one the rounding of the loss itself would be seen.
TOLERANCE: Final = 1e-6
_STEPS: Final = 200
_FIRST_RADIUS: Final = 100.0
_LARGEST_RADIUS: Final = 1e6


class CrossEntropy:
    """Of `rows` [N, columns], an array or a sparse matrix of float64; `target` [N] in [0, 1];
    `weights` [N], whose sum is 1; `penalty` times half of the coefficients' squares.

    A point is float [columns + 1]: coefficients and intercept, the latter without a penalty.
    """

    def __init__(self, rows: Any, target: Floats, weights: Floats, penalty: float) -> None:
        self._rows, self._columns = rows, rows.T
        self._target, self._weights, self._penalty = target, weights, penalty
        bends = np.append(_squared(rows).T @ (weights / 4) + penalty, 1 / 4)
        self._units: Floats = 1 / np.sqrt(bends)
        self._at = np.zeros(0)
        self._bends = np.zeros(0)

    def minimum(self, start: Floats) -> Floats:
        """The point of the least value, searched for from `start` on."""
        found = minimize(
            self._value_and_slope,
            start / self._units,
            method="trust-ncg",
            jac=True,
            hessp=self._bent,
            options={
                "gtol": TOLERANCE,
                "maxiter": _STEPS,
                "initial_trust_radius": _FIRST_RADIUS,
                "max_trust_radius": _LARGEST_RADIUS,
            },
        )
        return np.asarray(found.x * self._units)

    def _value_and_slope(self, scaled: Floats) -> tuple[float, Floats]:
        point = scaled * self._units
        sums = self._sums(point)
        losses = np.logaddexp(0, sums) - self._target * sums
        value = self._weights @ losses + self._penalty / 2 * (point[:-1] @ point[:-1])
        chances = expit(sums)
        self._at, self._bends = scaled.copy(), self._weights * chances * (1 - chances)
        return float(value), self._back(self._weights * (chances - self._target), point)

    def _bent(self, scaled: Floats, step: Floats) -> Floats:
        """The second derivatives at a point times a step."""
        if not np.array_equal(scaled, self._at):
            self._value_and_slope(scaled)
        point = step * self._units
        return self._back(self._bends * self._sums(point), point)

    def _sums(self, point: Floats) -> Floats:
        return np.asarray(self._rows @ point[:-1] + point[-1])

    def _back(self, of_rows: Floats, point: Floats) -> Floats:
        """From the derivatives by each row's sum to those by the scaled point."""
        slopes = self._columns @ of_rows + self._penalty * point[:-1]
        return np.append(slopes, of_rows.sum()) * self._units


def _squared(rows: Any) -> Any:
    if not issparse(rows):
        return np.square(rows)
    return csr_matrix((np.square(rows.data), rows.indices, rows.indptr), shape=rows.shape)
