"""The threshold with the largest edge share that loses at most so much against cloud-only."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from predictors.errors import ConfigurationError
from transformers_hem.calibration.bounds import (
    Floats,
    refutes_by_betting,
    refutes_by_counts,
)

# Fixed before any data is seen, or the promise would not hold: even steps, and finer ones towards
# both ends, where the scores of a confident model crowd.
GRID = np.unique(
    np.round(np.concatenate([np.linspace(0, 1, 1001), expit(np.linspace(-12, 12, 481))]), 7)
)


@dataclass(frozen=True, slots=True)
class Losses:
    """`scores` [N], infinite where there is none, and `losses` [N] = cloud - edge, ascending by
    score. `counted` where every loss is -1, 0 or 1."""

    scores: Floats
    losses: Floats
    counted: bool

    @classmethod
    def of(cls, scores: Floats, losses: Floats) -> "Losses":
        order = np.argsort(scores, kind="stable")
        return cls(scores[order], losses[order], bool(np.isin(losses, (-1, 0, 1)).all()))


def certified_threshold(rows: Losses, limit: float, confidence: float) -> float:
    """With `confidence`, the mean loss of routing at the returned threshold is at most `limit`.

    Learn then test (Angelopoulos et al., arXiv 2110.01052, section 2.2, fixed sequence testing):
    thresholds are tested from the safest one up, each with the full error, until one fails. That
    keeps the error of all of them together, whether or not the loss grows evenly. `limit` and
    losses are in units of the labels' range. Raises ConfigurationError where no threshold that
    leaves a query at the edge can be certified.
    """
    easy = np.searchsorted(rows.scores, GRID, side="right")
    passed = _passed(rows, easy, limit, 1 - confidence)
    if passed == 0 or easy[passed - 1] == 0:
        raise ConfigurationError(_refusal(rows, limit, confidence))
    return float(GRID[passed - 1])


def _passed(rows: Losses, easy: np.ndarray, limit: float, error: float) -> int:
    """How many thresholds pass before the first that doesn't."""
    lost = np.concatenate([[0], np.cumsum(rows.losses > 0)])
    won = np.concatenate([[0], np.cumsum(rows.losses < 0)])
    order = np.random.default_rng(0).permutation(len(rows.losses))
    before = -1
    for position, count in enumerate(easy):
        if count == before:  # the same rows are easy: the same test
            continue
        before = count
        if rows.counted:
            good = refutes_by_counts(
                int(lost[count]), int(won[count]), len(rows.losses), limit, error
            )
        else:
            kept = np.where(np.arange(len(rows.losses)) < count, rows.losses, 0.0)
            good = refutes_by_betting(kept[order], limit, error)
        if not good:
            return position
    return len(easy)


def _refusal(rows: Losses, limit: float, confidence: float) -> str:
    count = len(rows.losses)
    said = f"{count} rows can't promise a quality loss of at most {limit:g} with confidence "
    needed = rows_needed(rows, limit, confidence)
    if needed is None:
        return f"{said}{confidence:g}: even the easiest queries lose more; more rows won't help"
    return f"{said}{confidence:g}; about {max(needed, count + 1)} would be needed"


def rows_needed(rows: Losses, limit: float, confidence: float) -> int | None:
    """Roughly, by the normal distribution, from how these rows lose; None where none would do.

    For the threshold that needs fewest, of those with at least a fiftieth of the rows easy.
    """
    count = len(rows.losses)
    easy = np.arange(1, count + 1)
    mean = np.cumsum(rows.losses) / count
    square = np.cumsum(rows.losses**2) / count
    usable = (easy >= count / 50) & (mean < limit) & np.isfinite(rows.scores)
    if not usable.any():
        return None
    deviations = float(norm.ppf(confidence)) + 0.3  # the exact tests are a little stricter
    by_spread = deviations**2 * square[usable] / (limit - mean[usable]) ** 2
    # Not one loss seen still leaves room for a share of -log(error) / rows.
    without_loss = -np.log((1 - confidence) * (1 if not rows.counted else 0.5)) / limit
    return int(np.ceil(max(float(by_spread.min()), without_loss)))
