"""The threshold that keeps the spending per 1,000 queries within a budget."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv
from scipy.stats import norm

from transformers_hem.arrays import Floats
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.evaluation.quality import cuttable, threshold_after

LEAST_ROWS = 100  # of costs that vary: below it their mean is too far from normal


def threshold_within(
    scores: Floats, edge: Floats, cloud: Floats, budget: float, confidence: float
) -> tuple[float, float]:
    """The smallest threshold, so the best quality, whose upper confidence limit is within the
    budget, and what these rows spend at it, per 1,000 queries.

    `scores` [N], infinite where there is none; `edge`, `cloud` [N]: what a row costs there. As
    spending falls evenly with the threshold, looking at all thresholds costs no confidence (Bates
    et al., arXiv 2101.02703, theorem 1). Raises NoPromise where it costs too much even with as
    much at the edge as there can be.
    """
    count = len(scores)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    spent = _Spent.of(edge[order], cloud[order])
    if not spent.constant and count < LEAST_ROWS:
        raise NoPromise(
            f"{count} rows can't promise a budget; at least {LEAST_ROWS} would be needed"
        )
    high = spent.at_most(confidence)
    cuts = cuttable(ordered)
    good = np.flatnonzero(cuts & (1000 * high <= budget))
    if not len(good):
        last = int(np.flatnonzero(cuts)[-1])
        least, error = 1000 * spent.mean[last], 1000 * spent.deviation[last] / np.sqrt(count)
        if least >= budget:
            raise NoPromise(
                f"a budget of {budget:g} per 1,000 queries is out of reach: as much at the edge as "
                f"there can be still costs {least:.4g}"
            )
        needed = int(np.ceil(count * (2 * error / (budget - least)) ** 2))
        raise NoPromise(
            f"{count} rows can't promise a budget of {budget:g} per 1,000 queries; "
            f"about {max(needed, count + 1)} would be needed"
        )
    return threshold_after(ordered, int(good[0])), float(1000 * spent.mean[good[0]])


@dataclass(frozen=True, slots=True)
class _Spent:
    """Moments of the rows' costs with the first 0, 1, ... N of them at the edge, each [N + 1].
    `constant`: each side's costs, where neither varies."""

    rows: int
    mean: Floats
    deviation: Floats
    skewness: Floats
    constant: tuple[float, float] | None

    @classmethod
    def of(cls, edge: Floats, cloud: Floats) -> "_Spent":
        unit = max(float(np.max([edge, cloud])), np.finfo(float).tiny)
        first, second, third = (_means(edge / unit, cloud / unit, power) for power in (1, 2, 3))
        variance = np.maximum(second - first**2, 0.0)
        variance[variance < 1e-12 * second] = 0.0  # rounding
        deviation = np.sqrt(variance)
        skewed = third - 3 * first * second + 2 * first**3
        skewness = np.divide(skewed, deviation**3, np.zeros_like(skewed), where=deviation > 0)
        same = np.ptp(edge) == 0 and np.ptp(cloud) == 0
        constant = (float(edge[0]), float(cloud[0])) if same else None
        return cls(len(edge), unit * first, unit * deviation, skewness, constant)

    def at_most(self, confidence: float) -> Floats:
        """Upper confidence limits of the means: Clopper and Pearson's where both costs are
        constant, which is exact. Else the normal limit, corrected for skewness as in Hall (1992,
        On the removal of skewness by transformation, J. R. Statist. Soc. B 54): approximate, as
        costs have no known maximum."""
        if self.constant:
            edge, cloud = self.constant
            asked = np.arange(self.rows + 1)
            dearer = asked if edge > cloud else self.rows - asked
            share = np.ones(self.rows + 1)
            some = dearer < self.rows
            share[some] = betaincinv(dearer[some] + 1, self.rows - dearer[some], confidence)
            return np.asarray(min(edge, cloud) + abs(cloud - edge) * share)
        ratio = self.skewness / np.sqrt(self.rows)
        quantile = float(norm.ppf(1 - confidence))
        curved = np.abs(ratio) > 1e-6
        step = np.full(self.rows + 1, quantile)
        bent = 1 + ratio[curved] * (quantile - ratio[curved] / 6)
        step[curved] = 3 * (np.cbrt(bent) - 1) / ratio[curved]
        return np.asarray(self.mean - step * self.deviation / np.sqrt(self.rows - 1))


def _means(edge: Floats, cloud: Floats, power: int) -> Floats:
    changes = np.concatenate([[0.0], np.cumsum(edge**power - cloud**power)])
    return np.asarray(((cloud**power).sum() + changes) / len(edge))
