"""How much quality the version in force loses against cloud-only, by what came back since.

Of queries that the edge answered some were sent to the cloud as well, drawn by chance: shadow
pairs. Their mean of cloud - edge, times the share that the edge answered, is the loss of all
queries, as those that the cloud answered lose nothing. The interval is a confidence sequence, and
the alarm a bet: both may be looked at after each pair, as often as one likes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.betting import ConfidenceSequence
from transformers_hem.lifelong.watch import ERROR as ALARMS, MOST_ROWS, watch

ERROR: Final = 0.05  # of either end of the interval
LEAST: Final = 30  # pairs; fewer say nothing
BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Live:
    """`loss` is between `low` and `high`; all are in units of the labels, from 0 to 1. `broken`:
    what was promised is refuted."""

    pairs: int
    queries: int
    edge_share: float
    loss: float
    low: float
    high: float
    broken: bool


def live_loss(losses: Floats, edge: int, queries: int, promised: float) -> Live | None:
    """`losses` [N] of pairs, cloud - edge, in the order in which they came; `edge` of the `queries`
    stayed at the edge. None where there are too few."""
    if len(losses) < LEAST or not queries:
        return None
    sequence = ConfidenceSequence(2 * ERROR, -1.0, 1.0)
    for start in range(0, len(losses), BATCH):  # a row takes a number for each cell
        sequence.update(np.clip(losses[start : start + BATCH], -1, 1))
    interval = sequence.interval
    share = edge / queries
    return Live(
        pairs=len(losses),
        queries=queries,
        edge_share=share,
        loss=share * float(losses.mean()),
        low=share * interval.low,
        high=share * interval.high,
        # What the edge's answers may lose, for all queries to lose what is promised.
        broken=share > promised and _broken(losses, promised / share),
    )


def _broken(losses: Floats, limit: float) -> bool:
    """A watch ends after MOST_ROWS, and the next one begins; their errors add up to one ERROR."""
    starts = range(0, len(losses), MOST_ROWS)
    parts = enumerate((losses[start : start + MOST_ROWS] for start in starts), 1)
    return any(watch(rows, limit, ALARMS * 6 / (np.pi * k) ** 2).broken for k, rows in parts)
