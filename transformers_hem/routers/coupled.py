"""Both sides' chances of being right, by two logistic regressions that share a part.

What is hard for one model is mostly hard for the other, too. So where a row shows one side only, it
says something of the other: coefficients of the two sides are alike, as in regularised multi-task
learning (Evgeniou and Pontil 2004). Their prior is normal, with variance `c` on either side and a
correlation; with 0 these are two regressions that know nothing of each other.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from transformers_hem.arrays import Floats
from transformers_hem.routers.fitting import TOLERANCE

# The inverse variance of an intercept: so weak that it matters only where a side is always right,
# or never, and the likelihood knows no end.
FLAT: Final = 1e-3
TRUST: Final = {"initial_trust_radius": 100.0, "max_trust_radius": 1e4}


def coupled(
    rows: Any,
    targets: tuple[Floats, Floats],
    weights: tuple[Floats, Floats],
    c: float,
    correlation: float,
) -> tuple[Floats, Floats]:
    """Coefficients [columns, 2] and intercepts [2] of the edge and the cloud, from an array or a
    sparse matrix [N, columns], shares of right answers [N] and how much each counts [N]; a row that
    weighs 0 on a side doesn't count there. `correlation` is in [0, 1)."""
    sides = [
        _Side.of(rows, *each, sign)
        for *each, sign in zip(targets, weights, (-1.0, 1.0), strict=True)
    ]
    columns = rows.shape[1]
    loss = _Loss(sides, columns, c, correlation)
    counted = sum(float(side.weights.sum()) for side in sides)
    found = minimize(
        loss,
        np.zeros(2 * columns + 2),
        method="trust-ncg",
        jac=True,
        hessp=loss.curved,
        options={"gtol": TOLERANCE * counted, **TRUST},
    )
    coefficients = [loss.coefficients(found.x, side) for side in sides]
    return np.stack(coefficients, axis=1), np.asarray(found.x[-2:])


@dataclass(frozen=True, slots=True)
class _Side:
    """The n rows that show it. `sign`: -1 for the edge, 1 for the cloud."""

    rows: Any
    target: Floats
    weights: Floats
    sign: float

    @classmethod
    def of(cls, rows: Any, target: Floats, weights: Floats, sign: float) -> "_Side":
        shown = np.flatnonzero(weights > 0)
        return cls(rows[shown].astype(np.float64), target[shown], weights[shown], sign)

    @property
    def intercept(self) -> int:
        """Its place."""
        return -2 if self.sign < 0 else -1


@dataclass(slots=True)
class _Loss:
    """Of z: a common part [columns], half of the difference [columns], and two intercepts, where
    both parts are scaled so that their priors have variance c."""

    sides: list[_Side]
    columns: int
    c: float
    correlation: float
    _last: tuple[Floats, list[Floats]] | None = field(default=None, init=False)

    def __call__(self, z: Floats) -> tuple[float, Floats]:
        value, gradient, curvature = 0.5 * float(z @ self._prior(z)), self._prior(z), []
        for side in self.sides:
            sums = side.rows @ self.coefficients(z, side) + z[side.intercept]
            chances = expit(sums)
            value += float(side.weights @ (np.logaddexp(0, sums) - side.target * sums))
            self._add(gradient, side, side.weights * (chances - side.target))
            curvature.append(side.weights * chances * (1 - chances))
        self._last = (z.copy(), curvature)
        return value, gradient

    def curved(self, z: Floats, along: Floats) -> Floats:
        """The second derivative at z, times a direction."""
        if self._last is None or not np.array_equal(self._last[0], z):
            self(z)
        assert self._last is not None
        found = self._prior(along)
        for side, curvature in zip(self.sides, self._last[1], strict=True):
            sums = side.rows @ self.coefficients(along, side) + along[side.intercept]
            self._add(found, side, curvature * sums)
        return found

    def coefficients(self, z: Floats, side: _Side) -> Floats:
        common, apart = self._scales(side)
        return np.asarray(common * z[: self.columns] + apart * z[self.columns : -2])

    def _add(self, total: Floats, side: _Side, by_row: Floats) -> None:
        pulled = by_row @ side.rows
        common, apart = self._scales(side)
        total[: self.columns] += common * pulled
        total[self.columns : -2] += apart * pulled
        total[side.intercept] += by_row.sum()

    def _prior(self, z: Floats) -> Floats:
        found = z / self.c
        found[-2:] = FLAT * z[-2:]
        return found

    def _scales(self, side: _Side) -> tuple[float, float]:
        common, apart = (1 + self.correlation) / 2, (1 - self.correlation) / 2
        return common**0.5, side.sign * apart**0.5
