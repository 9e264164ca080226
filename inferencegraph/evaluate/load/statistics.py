"""Percentiles, and bootstrap intervals of what was measured beside each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = NDArray[np.intp]

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and its bootstrap interval (percentile method: Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13) at CONFIDENCE."""

    value: float
    low: float
    high: float


def percentile(values: Values, rank: float) -> float | None:
    """`rank` from 0 to 100, linear between neighbours; None of nothing."""
    return float(np.percentile(values, rank)) if values.size else None


class Blocks:
    """Values in blocks; a statistic of them is asked for, with so many copies of each block."""

    def __init__(self, blocks: Sequence[Values]) -> None:
        self._values = np.concatenate(blocks)
        self._block = np.repeat(np.arange(len(blocks)), [block.size for block in blocks])
        order = np.argsort(self._values)
        self._values, self._block = self._values[order], self._block[order]

    def mean(self, copies: Draw) -> float:
        return float(np.average(self._values, weights=copies[self._block]))

    def percentile(self, rank: float, copies: Draw) -> float:
        """The smallest value that `rank` percent of all are not above."""
        below = np.cumsum(copies[self._block])
        return float(self._values[np.searchsorted(below, rank / 100 * below[-1])])


def ratio_interval(
    pairs: Sequence[tuple[Values, Values]],
    statistic: Callable[[Blocks, Draw], float],
    seed: int,
) -> Estimate | None:
    """Of `statistic` of the second of each pair over that of the first, of all blocks together.
    Whole pairs are drawn again: what is common to two neighbours in time stays so.

    None for fewer than two pairs with values, or where a statistic of the first is 0.
    """
    pairs = [(first, second) for first, second in pairs if first.size and second.size]
    if len(pairs) < 2:
        return None
    first, second = (Blocks([pair[side] for pair in pairs]) for side in (0, 1))

    def ratio(drawn: Draw) -> float:
        copies = np.bincount(drawn, minlength=len(pairs))
        below = statistic(first, copies)
        return statistic(second, copies) / below if below else float("nan")

    return _interval(ratio, len(pairs), seed)


def difference_interval(first: Values, second: Values, seed: int) -> Estimate | None:
    """Of the median of what `second` has more than `first`, question by question: both are of the
    same questions in the same order. None for fewer than two."""
    more = second - first
    if more.size < 2:
        return None
    return _interval(lambda drawn: float(np.median(more[drawn])), more.size, seed)


def _interval(estimate: Callable[[Draw], float], size: int, seed: int) -> Estimate | None:
    value = estimate(np.arange(size))
    random = np.random.default_rng(seed)
    drawn = np.array([estimate(random.integers(size, size=size)) for _ in range(RESAMPLES)])
    if not np.isfinite(value) or not np.isfinite(drawn).all():
        return None
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return Estimate(value, float(low), float(high))
