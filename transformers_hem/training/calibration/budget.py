"""The threshold that keeps the spending per 1,000 queries within a budget."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from predictors.errors import ConfigurationError
from transformers_hem.training.calibration.bounds import Floats
from transformers_hem.training.quality import cuttable, threshold_after

LEAST_ROWS = 30  # below it a mean is too far from normal


@dataclass(frozen=True, slots=True)
class Spending:
    """Per 1,000 queries at `threshold`: on average of the rows, and `high` with confidence."""

    threshold: float
    mean: float
    high: float


def threshold_within(
    scores: Floats, edge: Floats, cloud: Floats, budget: float, confidence: float
) -> Spending:
    """`scores` [N], infinite where there is none; `edge`, `cloud` [N]: what a row costs there.

    The smallest threshold, so the best quality, whose upper confidence limit is within the
    budget; the limit is that of the normal distribution. As spending falls evenly with the
    threshold, looking at all of them costs no confidence (Bates et al., arXiv 2101.02703,
    theorem 1). Raises ConfigurationError where even the most the edge can take costs too much.
    """
    count = len(scores)
    if count < LEAST_ROWS:
        raise ConfigurationError(
            f"{count} rows can't promise a budget; at least {LEAST_ROWS} would be needed"
        )
    order = np.argsort(scores, kind="stable")
    ordered, saved = scores[order], (edge - cloud)[order]
    total = cloud.sum() + np.concatenate([[0.0], np.cumsum(saved)])
    squares = (cloud**2).sum() + np.concatenate([[0.0], np.cumsum((edge**2 - cloud**2)[order])])
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0) / (count - 1))
    high = mean + norm.ppf(confidence) * deviation
    cuts = cuttable(ordered)
    good = np.flatnonzero(cuts & (1000 * high <= budget))
    if not len(good):
        last = int(np.flatnonzero(cuts)[-1])
        raise ConfigurationError(_refusal(1000 * mean[last], 1000 * deviation[last], budget, count))
    at_edge = int(good[0])
    return Spending(
        threshold_after(ordered, at_edge), float(1000 * mean[at_edge]), float(1000 * high[at_edge])
    )


def _refusal(least: float, deviation: float, budget: float, count: int) -> str:
    if least >= budget:
        return (
            f"a budget of {budget:g} per 1,000 queries is out of reach: as much at the edge as "
            f"there can be still costs {least:.4g}"
        )
    needed = int(np.ceil(count * (2 * deviation / (budget - least)) ** 2))
    return (
        f"{count} rows can't promise a budget of {budget:g} per 1,000 queries; "
        f"about {max(needed, count + 1)} would be needed"
    )
