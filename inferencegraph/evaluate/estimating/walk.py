"""The walk over the rows that the router was not trained on: in random order, a batch at a time, it
says which rows need a label, and ends when it knows enough. It asks nobody itself."""

from abc import ABC, abstractmethod
from typing import Final, NamedTuple

import numpy as np

from inferencegraph.evaluate.estimating.aim import Aim
from predictors.errors import ConfigurationError
from transformers_hem.arrays import Floats, Indices
from transformers_hem.calibration.betting import ConfidenceSequence, Interval
from transformers_hem.calibration.quality_loss import GRID, Losses, rows_needed
from transformers_hem.calibration.targets import TOLERANCE
from transformers_hem.calibration.threshold_search import ThresholdSearch
from transformers_hem.evaluation.quality import cuttable, threshold_after

BATCH: Final = 64  # labels between two looks
# Rows that a bound takes which holds at all times, over those of one for a fixed number.
_ANYTIME: Final = 1.6


class Walk(ABC):
    """`scores` [N]: the router's, of the rows in random order; infinite where there is none.
    `losses` [N] = cloud - edge, NaN where there is no label; `position` rows have been passed."""

    def __init__(self, scores: Floats, labels: int | None, enough: int | None) -> None:
        """`labels`: at most so many; where something can be promised, `enough` of them."""
        self.scores = scores
        self.losses = np.full(len(scores), np.nan)
        self.position = self.labels = 0
        self._most = len(scores) if labels is None else labels
        self._enough = len(scores) if enough is None else enough
        self._batch: Indices = np.arange(0)

    @property
    @abstractmethod
    def cap(self) -> float:
        """Rows that score above it need no label."""

    @property
    @abstractmethod
    def threshold(self) -> float | None:
        """What can be promised so far; None: nothing."""

    @property
    @abstractmethod
    def precise(self) -> bool:
        """Whether it knows enough."""

    @abstractmethod
    def _add(self, scores: Floats, losses: Floats) -> None:
        """The next rows; losses are NaN above the cap."""

    @property
    def most(self) -> int:
        """Labels that it can ask for at most."""
        return min(self._most, len(self.scores))

    @abstractmethod
    def words(self) -> str:
        """What it knows so far, in a line."""

    @property
    def has_enough(self) -> bool:
        """Labels, whether it is precise or not."""
        return self.threshold is not None and self.labels >= self._enough

    @property
    def finished(self) -> bool:
        ended = self.position == len(self.scores) or self.labels >= self._most
        return self.precise or self.has_enough or ended

    def next_batch(self) -> Indices:
        """The rows to label next, to be given to `take`."""
        wanted = np.flatnonzero(self.scores[self.position :] <= self.cap) + self.position
        most = self._most if self.labels >= self._enough else min(self._most, self._enough)
        self._batch = wanted[: min(BATCH, most - self.labels)]
        return self._batch

    def take(self, losses: Floats) -> None:
        """Of the rows of the last `next_batch`, in their order. Rows between them, which need no
        label, are passed with them."""
        batch, before = self._batch, self.position
        # Behind the last row that needs one, those without go along.
        end = int(batch[-1]) + 1 if len(batch) else len(self.scores)
        self.losses[batch] = losses
        self.labels += len(batch)
        self.position = end
        self._add(self.scores[before:end], self.losses[before:end])

    def share(self, threshold: float) -> float:
        """Of all rows, labelled or not, those that stay at the edge."""
        return float(np.mean(self.scores <= threshold))

    def loss_at(self, threshold: float, aim: Aim) -> "LossAt":
        """From the rows passed before one that it would keep and that has no label."""
        easy = self.scores <= threshold
        unknown = np.flatnonzero(easy & np.isnan(self.losses))
        rows = min(int(unknown[0]) if len(unknown) else len(easy), self.position)
        kept = np.where(easy[:rows], self.losses[:rows], 0.0)
        size = len(easy) if aim.about == "log" else None
        bound = ConfidenceSequence(1 - aim.confidence, -1.0, 1.0, size, cells=400)
        mean = float(kept.mean()) if rows else np.nan
        return LossAt(mean, bound.update(kept), rows)


class LossAt(NamedTuple):
    """Mean loss of routing at one threshold, from so many `rows`."""

    mean: float
    interval: Interval
    rows: int


class LossWalk(Walk):
    """For the largest share at the edge that loses at most `aim.max_quality_loss`."""

    def __init__(
        self, scores: Floats, aim: Aim, labels: int | None = None, enough: int | None = None
    ) -> None:
        super().__init__(scores, labels, enough)
        assert aim.max_quality_loss is not None
        self._aim, self._limit = aim, aim.max_quality_loss
        counts = np.searchsorted(np.sort(scores), GRID, side="right")
        # Of thresholds with the same rows below them one is enough: they have the same bets.
        self._thresholds = GRID[np.diff(counts, prepend=-1) > 0]
        population = len(scores) if aim.about == "log" else None
        self.search = ThresholdSearch(self._thresholds, self._limit, aim.confidence, population)

    @property
    def cap(self) -> float:
        return self.search.cap

    @property
    def threshold(self) -> float | None:
        value = self._at(self.search.kept)
        return value if value is not None and self.share(value) > 0 else None

    @property
    def best_share(self) -> float:
        """What is estimated to be possible."""
        return self._share(self.search.best)

    @property
    def possible_share(self) -> float:
        """More than that is shown to lose too much."""
        return self._share(self.search.possible)

    @property
    def precise(self) -> bool:
        if self.possible_share == 0:
            return True
        return (
            self.threshold is not None
            and self.best_share - self._share(self.search.kept) <= self._aim.precision
        )

    def words(self) -> str:
        return (
            f"{self.labels} labels: {self._share(self.search.kept):.1%} of the queries can stay, "
            f"at most {self.possible_share:.1%}; estimated {self.best_share:.1%}"
        )

    def rows_missing(self) -> int | None:
        """About how many more rows of the log would have to be passed for a first promise; None
        where no number would do."""
        if self.possible_share == 0:
            return None
        passed = slice(0, self.position)
        losses = self.losses[passed]
        scores = np.where(np.isnan(losses), np.inf, self.scores[passed])
        seen = Losses.of(scores, np.nan_to_num(losses))
        needed = rows_needed(seen, self._limit, self._aim.confidence)
        if needed is None:
            return None
        return max(int(_ANYTIME * needed) - self.position, BATCH)

    def _add(self, scores: Floats, losses: Floats) -> None:
        self.search.add(scores, losses)

    def _at(self, count: int) -> float | None:
        return float(self._thresholds[count - 1]) if count else None

    def _share(self, count: int) -> float:
        return self.share(float(self._thresholds[count - 1])) if count else 0.0


class ShareWalk(Walk):
    """For the loss with `aim.edge_ratio` of the rows at the edge. The threshold is by their scores
    alone; of the rows below it, whose number is known, the mean loss is bounded. Raises
    ConfigurationError where equal scores leave no threshold near the ratio."""

    def __init__(
        self, scores: Floats, aim: Aim, labels: int | None = None, enough: int | None = None
    ) -> None:
        super().__init__(scores, labels, enough)
        assert aim.edge_ratio is not None
        self._aim = aim
        ordered = np.sort(scores)
        cuts = np.flatnonzero(cuttable(ordered))
        self._easy = int(cuts[np.argmin(np.abs(cuts - aim.edge_ratio * len(scores)))])
        if abs((share := self._easy / len(scores)) - aim.edge_ratio) > TOLERANCE:
            raise ConfigurationError(
                f"no threshold is near an edge share of {aim.edge_ratio:g}: too many of the "
                f"{len(scores)} rows have equal scores; the nearest share is {share:.3g}"
            )
        self._threshold = threshold_after(ordered, self._easy)
        self._bound = ConfidenceSequence(1 - aim.confidence, -1.0, 1.0, max(self._easy, 1))

    @property
    def cap(self) -> float:
        return self._threshold if self._easy else -np.inf

    @property
    def threshold(self) -> float | None:
        return self._threshold if self._easy else None

    def words(self) -> str:
        return f"{self.labels} labels: a loss between {self.loss.low:.4f} and {self.loss.high:.4f}"

    @property
    def loss(self) -> Interval:
        """Of all rows of the walk."""
        share = self._easy / len(self.scores)
        return Interval(*(share * end for end in self._bound.interval))

    @property
    def precise(self) -> bool:
        return self.loss.high - self.loss.low <= 2 * self._aim.precision

    def _add(self, scores: Floats, losses: Floats) -> None:
        self._bound.update(losses[scores <= self.cap])


def make_walk(scores: Floats, aim: Aim, training: int) -> LossWalk | ShareWalk:
    """Over the rows that are left beside those for `training`."""
    most = None if aim.max_labels is None else aim.max_labels - training
    kind = LossWalk if aim.edge_ratio is None else ShareWalk
    return kind(scores, aim, most, aim.enough_labels(training, len(scores)))
