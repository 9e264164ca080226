"""How sure a figure is: intervals by the bootstrap, and the comparison of two systems.

Questions are drawn anew, with replacement, as often as there are (Efron 1979): the same draws for
all figures and all systems, so that their differences are paired.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest

from transformers_hem.arrays import Floats

RESAMPLES: Final = 2_000
PERMUTATIONS: Final = 10_000
_BLOCK_NUMBERS: Final = 4_000_000  # held at once: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


class Resampler:
    """`resamples` draws of N questions, by `seed`: how often each question is in each draw."""

    def __init__(self, size: int, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.size, self.resamples, self.seed = size, resamples, seed

    @cached_property
    def _counts(self) -> NDArray[np.float32]:
        """[resamples, N]; single precision, which halves the time and holds every count."""
        random = np.random.default_rng(self.seed)
        counts = np.empty((self.resamples, self.size), dtype=np.float32)
        for draw in counts:
            draw[:] = np.bincount(random.integers(self.size, size=self.size), minlength=self.size)
        return counts

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Of the draws' counts, [B, N]."""
        step = max(1, _BLOCK_NUMBERS // max(1, self.size))
        for start in range(0, self.resamples, step):
            yield self._counts[start : start + step]

    def sums(self, values: Floats) -> Floats:
        """Sum of float [N] in each draw: float [resamples]. Around the mean, so that single
        precision loses nothing that an interval shows."""
        mean = float(values.mean())
        deviations = (values - mean).astype(np.float32)
        sums: Floats = (self._counts @ deviations).astype(np.float64)
        sums += self.size * mean
        return sums

    def means(self, values: Floats) -> Floats:
        """Mean in each draw of the values that are there, float [resamples]."""
        there = ~np.isnan(values)
        counts = np.rint(self.sums(there.astype(np.float64)))
        means = np.full(self.resamples, np.nan)
        np.divide(self.sums(np.where(there, values, 0.0)), counts, out=means, where=counts > 0)
        return means

    def quantiles(self, values: Floats, share: float) -> Floats:
        """That quantile in each draw of the values that are there; the least value that `share` of
        the draw does not pass."""
        there = np.flatnonzero(~np.isnan(values))
        order = there[np.argsort(values[there], kind="stable")]
        found = []
        for block in self.blocks():
            filled = np.cumsum(block[:, order], axis=1, dtype=np.float64)
            wanted = share * filled[:, -1:]
            found.append(np.minimum((filled < wanted).sum(axis=1), len(order) - 1))
        chosen: Floats = values[order[np.concatenate(found)]]
        return chosen


def interval(draws: Floats, confidence: float) -> Interval:
    """The percentile interval of a figure's draws."""
    known = draws[~np.isnan(draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high))


def mean_interval(values: Floats, resampler: Resampler, confidence: float) -> Interval | None:
    """Of the mean of the values that are there; None where none is.

    Where all of them are 0, or all 1, draws say nothing: then Clopper and Pearson's (1934).
    """
    there = values[~np.isnan(values)]
    if not len(there):
        return None
    if (there == there[0]).all() and there[0] in (0.0, 1.0):
        bound = float(beta.ppf((1 - confidence) / 2, len(there), 1))
        return Interval(bound, 1.0) if there[0] else Interval(0.0, 1 - bound)
    return interval(resampler.means(values), confidence)


@dataclass(frozen=True, slots=True)
class Difference:
    """`mean` of a system's quality less the baseline's, question by question. `p_value`: how often
    a difference so large comes where there is none, of this comparison alone; `adjusted` for all
    comparisons of the benchmark by Holm's method (1979)."""

    mean: float
    interval: Interval
    p_value: float
    adjusted: float


def compare(
    systems: Sequence[Floats], baseline: Floats, resampler: Resampler, confidence: float
) -> list[Difference]:
    """Each system's quality, float [N], with the baseline's on the same questions."""
    differences = [quality - baseline for quality in systems]
    p_values = [paired_p_value(each, resampler.seed) for each in differences]
    return [
        Difference(
            float(each.mean()), interval(resampler.means(each), confidence), p_value, adjusted
        )
        for each, p_value, adjusted in zip(differences, p_values, holm(p_values), strict=True)
    ]


def paired_p_value(differences: Floats, seed: int = 0) -> float:
    """Two-sided, that the mean of paired differences, float [N], is 0.

    Where each is -1, 0 or 1 McNemar's exact test (1947); else by changing signs at random
    (Fisher's randomisation test), PERMUTATIONS times.
    """
    changed = differences[differences != 0]
    if not len(changed):
        return 1.0
    if (np.abs(changed) == 1).all():
        return float(binomtest(int((changed > 0).sum()), len(changed)).pvalue)
    random = np.random.default_rng(seed)
    observed, as_far, left = abs(changed.sum()), 0, PERMUTATIONS
    slack = 1e-12 * np.abs(changed).sum()
    while left:
        count = min(left, max(1, _BLOCK_NUMBERS // len(changed)))
        signs = random.integers(0, 2, (count, len(changed)), dtype=np.int8) * 2.0 - 1.0
        as_far += int((np.abs(signs @ changed) >= observed - slack).sum())
        left -= count
    return (as_far + 1) / (PERMUTATIONS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for as many comparisons: rejecting what is at most alpha errs in one or more of them
    with a probability of at most alpha."""
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else []
    return [float(value) for value in adjusted]
