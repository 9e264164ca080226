"""Tests of "the mean loss is above a limit" that hold for any distribution, at any sample size.

A row's loss is what routing it costs against the cloud: cloud - edge where it is easy, 0 where it
is hard. Its mean over all rows is quality(cloud only) - quality(routed). Counting only the rows
that the edge gets wrong and the cloud right would be valid too, but blind to those that the edge
alone gets right, and so promise much less; hence these tests of the difference itself.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, betaln, xlog1py, xlogy

Floats = NDArray[np.float64]

NUISANCE = 0.05  # share of the allowed error that bounds how often the two models differ


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
    differ = _upper_share(lost + won, rows, spent)
    if differ < limit:
        return True
    if differ > 0.5 or total > (rows - 1) * limit - 2:
        return False
    short = rows * limit - total
    # Bernstein's inequality is looser, and quicker where there is room.
    bernstein = np.exp(-(short**2) / (2 * (rows * differ + short * (1 + limit) / 3)))
    return bool(spent + bernstein <= error or spent + _tail(total, rows, differ, limit) <= error)


def _upper_share(found: int, rows: int, error: float) -> float:
    """Clopper and Pearson's upper bound on a share."""
    return float(betaincinv(found + 1, rows - found, 1 - error)) if found < rows else 1.0


def _tail(total: int, rows: int, differ: float, limit: float) -> float:
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
