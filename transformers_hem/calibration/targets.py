"""What a calibration can aim at: each target finds the threshold that keeps it, and says what it
promises."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from scipy.stats import norm

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Stage
from transformers_hem.arrays import Floats
from transformers_hem.calibration.budget import threshold_within
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.calibration.quality_loss import Losses, certified_threshold, upper_share
from transformers_hem.calibration.sample import Sample
from transformers_hem.evaluation.quality import cuttable, threshold_after
from transformers_hem.labels.labels import Labels

TOLERANCE = 0.05  # an edge share that may be further off than this is not worth promising

TargetName = Literal["edge_ratio", "max_quality_loss", "budget"]


class Target(ABC):
    name: ClassVar[TargetName]
    limit: float

    @abstractmethod
    def promise(self, sample: Sample, stage: Stage, confidence: float) -> tuple[float, str]:
        """The threshold, and what it promises in words, to stand between the edge share and the
        number of rows. Raises NoPromise where the sample can't support it, and ConfigurationError
        for what it can never support."""

    def scores_needed(self, confidence: float) -> int | None:
        """About how many queries' scores the promise takes, where they are all that it takes. None:
        it takes more, such as outcomes or costs."""
        return None


@dataclass(frozen=True, slots=True)
class EdgeRatio(Target):
    """That share of the queries stays at the edge."""

    name: ClassVar[TargetName] = "edge_ratio"
    limit: float

    def promise(self, sample: Sample, stage: Stage, confidence: float) -> tuple[float, str]:
        threshold, low, high = threshold_near(
            sample.scores, self.limit, confidence, sample.effective
        )
        return threshold, f"{low:.1%} to {high:.1%} with confidence {confidence:g}"

    def scores_needed(self, confidence: float) -> int | None:
        return _rows_needed(self.limit, confidence)


def threshold_near(
    scores: Floats, ratio: float, confidence: float, effective: float | None = None
) -> tuple[float, float, float]:
    """The threshold, and the lowest and highest share of live queries that it may leave at the
    edge, with that confidence: Clopper and Pearson's interval (1934).

    `scores`: float [N], infinite where there is no score. `effective`: as many independent rows say
    as much. Raises NoPromise where the interval is wider than the tolerance on a side, or where
    equal scores leave no threshold near the ratio.
    """
    count = len(scores)
    alike = 1.0 if effective is None else effective / count
    ordered = np.sort(scores)
    cuts = np.flatnonzero(cuttable(ordered))
    at_edge = int(cuts[np.argmin(np.abs(cuts - ratio * count))])
    share, error = at_edge / count, (1 - confidence) / 2
    if abs(share - ratio) > TOLERANCE:
        raise NoPromise(
            f"no threshold is near an edge share of {ratio:g}: too many of the {count} rows have "
            f"equal scores, or none; the nearest share is {share:.3g}"
        )
    low = 1 - upper_share((count - at_edge) * alike, count * alike, error)
    high = upper_share(at_edge * alike, count * alike, error)
    if max(high - share, share - low) > TOLERANCE:
        told = f"{count} rows" if alike == 1 else f"{count} rows that count as {count * alike:.0f}"
        needed = max(_rows_needed(share, confidence), int(count * alike) + 1)
        raise NoPromise(
            f"{told} can't promise an edge share of {ratio:g} to within {TOLERANCE:g} with "
            f"confidence {confidence:g}; about {needed} would be needed"
        )
    return threshold_after(ordered, at_edge), low, high


def _rows_needed(share: float, confidence: float) -> int:
    """About, for an interval within the tolerance."""
    width = norm.ppf((1 + confidence) / 2) / TOLERANCE
    return int(np.ceil(1.1 * width**2 * max(share * (1 - share), 0.02)))


@dataclass(frozen=True, slots=True)
class MaxQualityLoss(Target):
    """Mean quality is below cloud-only's by that much at most, in the labels' units.

    `score_range`: the lowest and the highest score that an answer can have; by default 0 and 1.
    Without limits to what one answer can lose nothing can be promised of their mean.
    """

    name: ClassVar[TargetName] = "max_quality_loss"
    limit: float
    score_range: tuple[float, float] | None = None

    def promise(self, sample: Sample, stage: Stage, confidence: float) -> tuple[float, str]:
        labels = self.require_labels(sample)
        width = self.width(sample.path, labels)
        losses = labels.cloud - labels.edge
        threshold = certified_threshold(
            Losses.of(sample.scores, losses / width), self.limit / width, confidence
        )
        seen = float(np.where(sample.scores <= threshold, losses, 0.0).mean())
        return (
            threshold,
            f"a quality loss against cloud-only of at most {self.limit:g} with confidence "
            f"{confidence:g} ({seen:.4f} on these rows)",
        )

    def require_labels(self, sample: Sample) -> Labels:
        """Raises ConfigurationError."""
        if sample.labels is None:
            raise ConfigurationError(
                f"{sample.path} has no labels, which a quality loss is measured by; rows need "
                "edge_correct and cloud_correct, or edge_score and cloud_score"
            )
        return sample.labels

    def width(self, path: Path, labels: Labels) -> float:
        """Of the labels' range. Raises ConfigurationError where one is outside of it."""
        low, high = self.score_range or (0.0, 1.0)
        if not -math.inf < low < high < math.inf:
            raise ConfigurationError(f"{low:g} to {high:g} is not a range of scores")
        both = np.concatenate([labels.edge, labels.cloud])
        beyond = both[(both < low) | (both > high)]
        if len(beyond):
            raise ConfigurationError(
                f"{path}: {len(beyond)} scores are not between {low:g} and {high:g}, {beyond[0]:g} "
                "for one; a promise needs the lowest and the highest that a score can be, not only "
                "was: give --score-range LOW HIGH"
            )
        width = high - low
        if not 0 < self.limit < width:
            raise ConfigurationError(
                f"a largest quality loss must be above 0 and below {width:g}, the range of "
                f"the labels, not {self.limit:g}"
            )
        return width


@dataclass(frozen=True, slots=True)
class Budget(Target):
    """Spending per 1,000 queries, in the unit of the two costs, per query or per token.

    A query that goes to the cloud costs the cloud's part; the edge's too where the edge answers
    first, in the answer stage.
    """

    name: ClassVar[TargetName] = "budget"
    limit: float
    cloud_cost: float = 1.0
    edge_cost: float = 0.0
    per: Literal["query", "token"] = "query"

    def promise(self, sample: Sample, stage: Stage, confidence: float) -> tuple[float, str]:
        edge = self._costs(sample, "edge", self.edge_cost)
        cloud = self._costs(sample, "cloud", self.cloud_cost)
        if stage == "answer":
            cloud = cloud + edge
        threshold, spent = threshold_within(sample.scores, edge, cloud, self.limit, confidence)
        return (
            threshold,
            f"at most {self.limit:g} spent per 1,000 queries with confidence {confidence:g} "
            f"({spent:.4g} on these rows)",
        )

    def _costs(self, sample: Sample, side: Literal["edge", "cloud"], cost: float) -> Floats:
        if self.per == "query" or cost == 0:
            return np.full(len(sample.scores), cost)
        return cost * sample.tokens(side)
