"""The threshold that loses at most so much against cloud-only, found while rows are still labelled.

`quality_loss.py` does it for a fixed number of rows. This one may be looked at after each row, and
ended at any of them: each threshold has a bet against "it loses the limit or more" and one against
"it loses the limit or less", see `betting.py`. The first kind is tested from the lowest threshold
up, until one stands: all below it are kept with `confidence`, at all times together. That is
fixed sequence testing, as in Angelopoulos et al., arXiv 2110.01052, section 2.2: an error has to
begin with the lowest threshold that loses too much, whose bet wins with a probability of at most
the error. The second kind, from the highest threshold down, tells which ones are out of reach, with
the same confidence by itself. Their rows need no label any more.
"""

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.betting import Wagers


class ThresholdSearch:
    """`thresholds` [J], ascending, are fixed before any label is seen. `limit` and losses are in
    units of the labels' range, so losses are in [-1, 1]. `population`: of how many rows they are
    drawn without replacement; None: independent draws."""

    def __init__(
        self, thresholds: Floats, limit: float, confidence: float, population: int | None = None
    ) -> None:
        self.thresholds, self.limit = thresholds, limit
        self._error = 1 - confidence
        ours = (1 + limit) / 2
        self._too_much = Wagers(np.full(len(thresholds), ours), population)
        self._too_little = Wagers(np.full(len(thresholds), 1 - ours), population)
        self.kept = 0
        self.possible = len(thresholds)

    # The first `kept` thresholds are promised to lose at most the limit; those from `possible` on
    # are shown to lose more.

    @property
    def cap(self) -> float:
        """Rows that score above it need no label, from the next `add` on."""
        return float(self.thresholds[self.possible - 1]) if self.possible else -np.inf

    @property
    def mean_losses(self) -> Floats:
        """[J]: of the rows that each threshold has seen; NaN before the first."""
        rows = self._too_much.rows
        mean = np.divide(self._too_much.total, rows, np.full(len(rows), np.nan), where=rows > 0)
        return np.asarray(2 * mean - 1)

    @property
    def best(self) -> int:
        """How many thresholds there are up to the highest one whose rows lost at most the limit, of
        those that are possible: an estimate, no bound."""
        good = np.flatnonzero(self.mean_losses[: self.possible] <= self.limit)
        return int(good[-1]) + 1 if len(good) else 0

    def add(self, scores: Floats, losses: Floats) -> None:
        """The next rows of the random order, [n] each; `losses` = cloud - edge of those that score
        at most `cap`, whatever of others."""
        columns = slice(0, self.possible)
        easy = scores[:, None] <= self.thresholds[columns]
        unit = (1 + np.where(easy, losses[:, None], 0.0)) / 2
        self._too_much.add(unit, columns)
        self._too_little.add(1 - unit, columns)
        kept = self._too_much.refuted(self._error)
        gone = self._too_little.refuted(self._error)[::-1]
        self.possible = len(gone) - int(np.logical_and.accumulate(gone).sum())
        # Never above what these rows lose themselves: a lower one is promised as well.
        self.kept = min(int(np.logical_and.accumulate(kept).sum()), self.best)
