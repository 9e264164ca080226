"""Whether what a router serves is as good as promised, watched at every moment without cheating.

Who looks at a test of fixed size every minute raises an alarm sooner or later, whatever is true.
Here somebody bets against the promise (Waudby-Smith and Ramdas, arXiv 2010.09686; see
`transformers_hem.calibration.betting`): while it is kept, the capital ever reaches 1 / error with a
probability of at most `error` (Ville), however often one looks. It needs no independent rows: it is
enough that the expectation of each, given those before it, keeps the promise.

A promise that is kept for long and then broken would find the gambler poor. So a new one begins
every STEP rows, and the fortune that they share at the start is divided among all that will ever
begin, 6 / (pi k)^2 for the k-th: a mixture of such capitals is one itself (Shin, Ramdas and Rinaldo
2022, arXiv 2203.03532, have such detectors). Waiting costs 2 log(k), no more.
"""

from typing import Final, NamedTuple

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.betting import Wagers

ERROR: Final = 0.01  # of an alarm while the promise is kept, in all the time that it is watched
STEP: Final = 50  # rows after which another gambler begins
MOST_ROWS: Final = 20_000  # that are looked at; who has more begins a new watch


class Alarm(NamedTuple):
    """`broken`: the promise is. `at`: the row at which that was seen first, None while it isn't.
    `mean`: of all rows; `evidence`: the capital that was reached, and `needed`."""

    broken: bool
    at: int | None
    rows: int
    mean: float
    evidence: float
    needed: float


def watch(values: Floats, limit: float, error: float = ERROR) -> Alarm:
    """Whether `values` [N] in [-1, 1], in the order in which they came, refute that their mean is
    at most `limit` at all times.

    A function of the rows alone, so that nothing is lost when a server starts anew. Rows beyond
    MOST_ROWS aren't looked at.
    """
    values = np.asarray(values, dtype=float)[:MOST_ROWS]
    if not (np.abs(values) <= 1).all():
        raise ValueError("a value is not between -1 and 1")
    needed = 1 / error
    if not len(values):
        return Alarm(False, None, 0, np.nan, 1.0, needed)
    log_capital = _log_capital(values, limit)
    reached = np.flatnonzero(log_capital >= np.log(needed))
    at = int(reached[0]) if len(reached) else None
    evidence = float(np.exp(min(float(log_capital.max()), 700.0)))
    return Alarm(at is not None, at, len(values), float(values.mean()), evidence, needed)


def served_losses(scores: Floats, threshold: float, outcomes: Floats) -> Floats:
    """[N]: what routing each pair loses against the cloud, 0 of those that go there; of outcomes
    [N, 2] in [0, 1]. Watched with the promised `max_quality_loss` as limit."""
    edge, cloud = outcomes.T
    return np.asarray(np.where(scores > threshold, 0.0, cloud - edge))


def _log_capital(values: Floats, limit: float) -> Floats:
    """[N]: of the mixture after each row."""
    turned = (1 - values) / 2  # a mean above the limit is one below (1 - limit) / 2
    begins = np.arange(0, len(values), STEP)
    logs = np.zeros((len(values), len(begins)))
    for number, first in enumerate(begins):
        wagers = Wagers(np.array([(1 - limit) / 2]))
        logs[first:, number] = wagers.add(turned[first:, None])[:, 0]
    weights = 6 / (np.pi * np.arange(1, len(begins) + 1)) ** 2
    rest = max(1 - float(weights.sum()), 0.0)  # of those who have not begun
    waiting = np.full((len(values), 1), np.log(rest))
    return np.asarray(np.logaddexp.reduce(np.hstack([logs + np.log(weights), waiting]), axis=1))
