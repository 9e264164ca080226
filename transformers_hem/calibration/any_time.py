"""The promise of a quality loss that holds however often somebody retrains, and looks.

`quality_loss.py` is for a number of rows that is fixed before. Who retrains each night, and
promotes when the rows are enough, stops at a time that the rows have chosen; the bets of
`threshold_search.py` hold at all times at once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from transformers_hem.algorithms.base import Stage
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.calibration.quality_loss import GRID
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import MaxQualityLoss
from transformers_hem.calibration.threshold_search import ThresholdSearch

BATCH: Final = 500  # rows; the bets on one take a number for each threshold


@dataclass(frozen=True, slots=True)
class MaxQualityLossAnyTime(MaxQualityLoss):
    """Of rows in the order in which they came."""

    def promise(self, sample: Sample, stage: Stage, confidence: float) -> tuple[float, str]:
        """Raises ConfigurationError, and NoPromise."""
        labels = self.require_labels(sample)
        width = self.width(sample.path, labels)
        losses = labels.cloud - labels.edge
        # Those that differ on these rows, which their labels have no part in.
        counts = np.searchsorted(np.sort(sample.scores), GRID, side="right")
        thresholds = GRID[np.diff(counts, prepend=-1) > 0]
        search = ThresholdSearch(thresholds, self.limit / width, confidence)
        for start in range(0, len(losses), BATCH):
            rows = slice(start, start + BATCH)
            search.add(sample.scores[rows], losses[rows] / width)
        threshold = float(thresholds[search.kept - 1]) if search.kept else -1.0
        easy = sample.scores <= threshold
        if not easy.any():
            raise NoPromise(
                f"{len(losses)} rows can't promise a quality loss of at most {self.limit:g} with "
                f"confidence {confidence:g}, at whatever time one looks; more rows may, or another "
                "loss"
            )
        seen = float(np.where(easy, losses, 0.0).mean())
        return (
            threshold,
            f"a quality loss against cloud-only of at most {self.limit:g} with confidence "
            f"{confidence:g} at all times ({seen:.4f} on these rows)",
        )
