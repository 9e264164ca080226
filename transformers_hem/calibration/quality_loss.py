"""The threshold with the largest edge share that loses at most so much against cloud-only.

A row's loss is what routing it costs against the cloud: cloud - edge where it is easy, 0 where it
is hard. Its mean over all rows is quality(cloud only) - quality(routed). Counting only the rows
that the edge gets wrong and the cloud right would be valid too, but blind to those that the edge
alone gets right, and so promise much less; hence these tests of the difference itself: that "the
mean loss is above a limit", for any distribution and at any sample size.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv, betaln, expit, xlog1py, xlogy
from scipy.stats import norm

from transformers_hem.arrays import Floats
from transformers_hem.calibration.no_promise import NoPromise

NUISANCE = 0.05  # share of the allowed error that bounds how often the two models differ
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
    losses are in units of the labels' range. Raises NoPromise where no threshold that leaves a
    query at the edge can be certified.
    """
    easy = np.searchsorted(rows.scores, GRID, side="right")
    passed = _passed(rows, easy, limit, 1 - confidence)
    if passed == 0 or easy[passed - 1] == 0:
        count, needed = len(rows.losses), rows_needed(rows, limit, confidence)
        way_out = (
            ": even the easiest queries lose more; more rows won't help"
            if needed is None
            else f"; about {max(needed, count + 1)} would be needed"
        )
        raise NoPromise(
            f"{count} rows can't promise a quality loss of at most {limit:g} with confidence "
            f"{confidence:g}{way_out}"
        )
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


def rows_needed(rows: Losses, limit: float, confidence: float) -> int | None:
    """Roughly, by the normal distribution, from how these rows lose; None where no number would do.

    It is of the threshold that needs fewest, of those with at least a fiftieth of the rows easy.
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


def refutes_by_counts(lost: int, won: int, rows: int, limit: float, error: float) -> bool:
    """Whether right and wrong answers refute a mean loss above `limit`, with `error` at most.

    `lost`: easy rows with the edge wrong and the cloud right, loss 1; `won`: the other way round,
    loss -1; of `rows` in all. Exact: the sum lost - won is compared with its distribution at a
    mean of `limit`. That depends on how often the models differ; Berger and Boos (1994,
    doi:10.1080/01621459.1994.10476836): take the worst in an upper Clopper-Pearson bound v on it
    and pay for that bound's own error. Without a won row this is nearly Clopper-Pearson's test.

    Why v itself is the worst: d/dv P(sum of n <= s) = n/2 (P(sum of n - 1 = s + 1) - P(it = s)).
    Up to v = 1/2 the sum, plus n, is one of independent Bernoulli variables, so its probabilities
    rise up to a mode within 1 of the mean (Darroch 1964, doi:10.1214/aoms/1177703287). Beyond
    either condition nothing is refuted.
    """
    total = lost - won
    spent = NUISANCE * error
    differ = upper_share(lost + won, rows, spent)
    if differ < limit:
        return True
    if differ > 0.5 or total > (rows - 1) * limit - 2:
        return False
    short = rows * limit - total
    # Bernstein's inequality is looser, and quicker where there is room.
    bernstein = np.exp(-(short**2) / (2 * (rows * differ + short * (1 + limit) / 3)))
    return bool(spent + bernstein <= error or spent + tail(total, rows, differ, limit) <= error)


def upper_share(count: float, rows: float, error: float) -> float:
    """Clopper and Pearson's upper bound on a share of which `count` in `rows` were seen. Rows that
    say less than others may count as a part of one."""
    return float(betaincinv(count + 1, rows - count, 1 - error)) if count < rows else 1.0


def tail(total: int, rows: int, differ: float, limit: float) -> float:
    """P(lost - won <= total) where rows differ with probability `differ`, on average by `limit`."""
    spread = 8 * np.sqrt(rows * differ) + 20
    first = max(0, int(rows * differ - spread))
    last = min(rows, int(rows * differ + spread))
    both = np.arange(first, last + 1)
    # Binomial probabilities of each number of differing rows, and given it, of few enough lost.
    log_weight = (
        xlogy(both, differ) + xlog1py(rows - both, -differ) - betaln(both + 1, rows - both + 1)
    )
    weight = np.exp(log_weight - np.log1p(rows))
    most_lost = np.minimum((both + total) // 2, both)
    few = bdtr(np.maximum(most_lost, 0).astype(float), both, (differ + limit) / (2 * differ))
    left_out = 1e-9  # what lies beyond eight deviations, generously
    return float(np.sum(weight * np.where(most_lost < 0, 0.0, few))) + left_out


def refutes_by_betting(losses: Floats, limit: float, error: float) -> bool:
    """Whether losses in [-1, 1], in random order, refute a mean above `limit`.

    For scores, whose distribution has no few values to count. A gambler who bets on low losses can
    hardly get rich if their mean is above `limit`: P(capital ever reaches 1 / error) <= error
    (Ville). Bets as in Waudby-Smith and Ramdas (arXiv 2010.09686, section 4.4), at most half.
    """
    rows = len(losses)
    count = np.arange(1, rows + 1)
    mean = (limit + np.cumsum(losses)) / (count + 1)
    variance = (0.25 + np.cumsum((losses - mean) ** 2)) / (count + 1)
    before = np.concatenate([[0.25], variance[:-1]])
    bets = np.minimum(np.sqrt(2 * np.log(1 / error) / (rows * before)), 0.5 / (1 - limit))
    capital = np.cumsum(np.log1p(bets * (limit - losses)))
    return bool(capital.max() >= np.log(1 / error))
