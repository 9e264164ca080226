"""How a figure is made of a run's values, and how sure it is: one class a kind.

`of(run, cloud)` is the figure, None where it is not defined; `interval(...)` what it may be, None
where it has none. `cloud` is the run in which the cloud answered all of the same questions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from inferencegraph.evaluate.metrics.columns import Columns
from inferencegraph.evaluate.statistics import Interval, Resampler, interval, mean_interval
from transformers_hem.arrays import Floats

Values = Callable[[Columns], Floats]


class Kind(Protocol):
    def of(self, run: Columns, cloud: Columns) -> float | None: ...

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None: ...


@dataclass(frozen=True, slots=True)
class Mean:
    """Of the questions that have such a value."""

    values: Values

    def of(self, run: Columns, cloud: Columns) -> float | None:
        there = _there(self.values(run))
        return float(there.mean()) if len(there) else None

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None:
        return mean_interval(self.values(run), resampler, confidence)


@dataclass(frozen=True, slots=True)
class Total:
    """Over all questions."""

    values: Values

    def of(self, run: Columns, cloud: Columns) -> float | None:
        there = _there(self.values(run))
        return float(there.sum()) if len(there) else None

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None:
        values = self.values(run)
        if not len(_there(values)):
            return None
        return interval(resampler.sums(np.nan_to_num(values)), confidence)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The least value that a share of the questions does not pass."""

    values: Values
    share: float

    def of(self, run: Columns, cloud: Columns) -> float | None:
        there = np.sort(_there(self.values(run)))
        return float(np.quantile(there, self.share, method="inverted_cdf")) if len(there) else None

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None:
        values = self.values(run)
        if not len(_there(values)):
            return None
        return interval(resampler.quantiles(values, self.share), confidence)


@dataclass(frozen=True, slots=True)
class OfClouds:
    """The mean, as a share of the cloud's; with `saved` what is missing of the whole."""

    values: Values
    saved: bool = False

    def of(self, run: Columns, cloud: Columns) -> float | None:
        own, whole = self.values(run), self.values(cloud)
        if np.isnan(own).all() or np.isnan(whole).all() or not np.nanmean(whole):
            return None
        return float(self._share(np.nanmean(own), np.nanmean(whole)))

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None:
        if self.of(run, cloud) is None:
            return None
        own, whole = resampler.means(self.values(run)), resampler.means(self.values(cloud))
        there = whole != 0
        return interval(self._share(own[there], whole[there]), confidence)

    def _share(self, own: Any, whole: Any) -> Any:
        return 1 - own / whole if self.saved else own / whole


@dataclass(frozen=True, slots=True)
class Once:
    """Measured of the run as a whole: one number, without an interval."""

    value: Callable[[Columns], float | None]

    def of(self, run: Columns, cloud: Columns) -> float | None:
        return self.value(run)

    def interval(
        self, run: Columns, cloud: Columns, resampler: Resampler, confidence: float
    ) -> Interval | None:
        return None


def _there(values: Floats) -> Floats:
    return values[~np.isnan(values)]
