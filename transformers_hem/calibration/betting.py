"""Means of bounded observations, bounded at every moment of a sampling at once.

A fixed bound, such as Clopper and Pearson's, holds for one number of rows that is chosen before any
is seen. Who looks after each row and stops when the interval is narrow breaks it. The bounds here
hold at all times together, so at whatever time somebody stops, for whatever reason.

They bet (Waudby-Smith and Ramdas 2023, "Estimating means of bounded random variables by betting",
J. R. Statist. Soc. B 86, arXiv 2010.09686). A gambler who bets against a claim that is true has a
capital that is a nonnegative supermartingale: it ever reaches 1 / error with a probability of at
most `error` (Ville). Bets are their approximate GRAPA (appendix B), which loses at most half of the
capital at a time. Without replacement the claim is about the rows that are left (section 5): a mean
of m over N rows is one of (N m - sum) / (N - rows) over those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from transformers_hem.arrays import Flags, Floats

MOST: Final = 0.5  # of what a bet may lose at most; they call it c, and advise 1/2 or 3/4
PRIOR: Final = 0.25  # the second moment that is assumed with the weight of one row
ROUNDING: Final = 1e-9  # rows; sums of so many are not more exact
VERSION: Final = 1


class Interval(NamedTuple):
    low: float
    high: float


@dataclass(slots=True)
class Wagers:
    """Capitals against J claims "the mean is at least `limits`", of values in [0, 1].

    `population`: of how many rows the values are drawn without replacement, in random order; None:
    independent draws of one distribution. `rows` [J] were seen, of those `total` and `squares` are
    the sums [J]; `capital` [J] is its logarithm, `peak` [J] the highest that it ever was.
    """

    limits: Floats
    population: int | None = None
    rows: Floats = field(init=False)
    total: Floats = field(init=False)
    squares: Floats = field(init=False)
    capital: Floats = field(init=False)
    peak: Floats = field(init=False)

    def __post_init__(self) -> None:
        for name in ("rows", "total", "squares", "capital", "peak"):
            setattr(self, name, np.zeros(len(self.limits)))

    def add(self, values: Floats, columns: slice = slice(None)) -> Floats:
        """`values`: [n, J], or [n, 1] for all, in the order in which they came; only the claims of
        `columns` bet on them, to be chosen before the values are known. Returns the logarithms of
        their capitals after each row, [n, J]."""
        limits, before = self.limits[columns], self.rows[columns]
        rows = before + np.arange(len(values))[:, None]
        seen = self.total[columns] + _before(values)
        squared = self.squares[columns] + _before(values**2)
        expected = self._expected(limits, rows, seen)
        # Of (value - limit): its mean, shrunk by one row at the limit, and its mean square.
        gap = (rows * limits - seen) / (rows + 1)
        spread = squared - 2 * limits * seen + rows * limits**2
        bets = gap * (rows + 1) / (PRIOR + np.maximum(spread, 0))
        bets = np.clip(bets, 0, MOST / np.maximum(1 - expected, ROUNDING))
        won = self.capital[columns] + np.cumsum(np.log1p(bets * (expected - values)), axis=0)
        self.rows[columns] += len(values)
        self.total[columns] += values.sum(axis=0)
        self.squares[columns] += (values**2).sum(axis=0)
        if len(values):
            self.capital[columns] = won[-1]
            self.peak[columns] = np.maximum(self.peak[columns], won.max(axis=0))
        self._refute_the_impossible(columns)
        return np.asarray(won)

    def refuted(self, error: float) -> Flags:
        """[J]: which claims are refuted, each by itself with that error."""
        return np.asarray(self.peak >= -np.log(error))

    def _expected(self, limits: Floats, rows: Floats, seen: Floats) -> Floats:
        """The least that the next value can be expected to be, where the claim is true."""
        if self.population is None:
            return np.broadcast_to(limits, rows.shape)
        left = np.maximum(self.population - rows, 1)
        # Above 1 the claim is impossible, which is counted when the batch has been seen.
        return np.minimum((self.population * limits - seen) / left, 1.0)

    def _refute_the_impossible(self, columns: slice) -> None:
        """A claim that the rows which are left can't make true any more."""
        if self.population is None:
            return
        missing = self.population * self.limits[columns] - self.total[columns]
        left = self.population - self.rows[columns]
        self.peak[columns][missing > left + ROUNDING] = np.inf


class ConfidenceSequence:
    """An interval for the mean of values in [`low`, `high`], which has been right at all times
    so far with a probability of at least 1 - `error`.

    `population`: of how many rows they are drawn without replacement; None: independent draws of
    one distribution. Each end is the last of `cells` even steps that is refuted, from the outside
    in until one is not, with half of the error: what the steps round widens the interval, and all
    steps together need the error once. The mean of what was seen is always inside. Raises
    ValueError for values that are outside of [`low`, `high`], NaN, or too many.
    """

    def __init__(
        self,
        error: float,
        low: float = 0.0,
        high: float = 1.0,
        population: int | None = None,
        cells: int = 1000,
    ) -> None:
        if not 0 < error < 1:
            raise ValueError(f"an error must be between 0 and 1, not {error:g}")
        if not -np.inf < low < high < np.inf:
            raise ValueError(f"{low:g} to {high:g} is not a range of values")
        if population is not None and population < 1:
            raise ValueError(f"a population has at least one row, not {population}")
        self.error, self.low, self.high = error, low, high
        self.population, self.cells = population, cells
        self.rows = 0
        steps = np.arange(1, cells + 1) / cells
        self._below = Wagers(steps, population)  # against means of at least each step
        self._above = Wagers(steps, population)  # the same of the values turned around

    def update(self, batch: Sequence[float] | Floats) -> Interval:
        """`batch` [n], in the order in which the values came; it may be empty."""
        values = np.asarray(batch, dtype=float)
        if not ((values >= self.low) & (values <= self.high)).all():
            raise ValueError(f"a value is not between {self.low:g} and {self.high:g}")
        if self.population is not None and self.rows + len(values) > self.population:
            raise ValueError(f"more values than the {self.population} that there are")
        unit = ((values - self.low) / (self.high - self.low))[:, None]
        self._below.add(unit)
        self._above.add(1 - unit)
        self.rows += len(values)
        return self.interval

    @property
    def interval(self) -> Interval:
        width = self.high - self.low
        high, low = self._outermost(self._below), 1 - self._outermost(self._above)
        if self.rows:
            seen = float(self._below.total[0]) / self.rows
            low, high = min(low, seen), max(high, seen)
        return Interval(self.low + width * low, self.low + width * high)

    def _outermost(self, side: Wagers) -> float:
        """The lowest step that is refuted with all above it; 1 where none is."""
        refuted = side.refuted(self.error / 2)[::-1]
        run = int(np.logical_and.accumulate(refuted).sum())
        return 1.0 if run == 0 else float(side.limits[len(refuted) - run])

    def state(self) -> dict[str, Any]:
        """All of it, for `restore`; JSON can hold it."""
        settings = {name: getattr(self, name) for name in _SETTINGS}
        sides = {name: _written(getattr(self, f"_{name}")) for name in ("below", "above")}
        return {"version": VERSION, **settings, "rows": self.rows, **sides}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "ConfidenceSequence":
        """Raises ValueError for the state of another version."""
        if state.get("version") != VERSION:
            raise ValueError(f"a state of version {state.get('version')!r}, not {VERSION}")
        sequence = cls(**{name: state[name] for name in _SETTINGS})
        sequence.rows = state["rows"]
        for name in ("below", "above"):
            _read(getattr(sequence, f"_{name}"), state[name], sequence.rows)
        return sequence


_SETTINGS: Final = ("error", "low", "high", "population", "cells")


def _before(values: Floats) -> Floats:
    """Sums down the columns of what came before each row."""
    return np.asarray(np.cumsum(values, axis=0) - values)


def _written(side: Wagers) -> dict[str, Any]:
    """A capital of infinity is no number of JSON: its claims are counted, which are refuted for
    good."""
    impossible = np.isinf(side.peak)
    return {
        "total": float(side.total[0]),
        "squares": float(side.squares[0]),
        "capital": side.capital.tolist(),
        "peak": np.where(impossible, 0.0, side.peak).tolist(),
        "impossible": np.flatnonzero(impossible).tolist(),
    }


def _read(side: Wagers, state: Mapping[str, Any], rows: int) -> None:
    side.rows[:] = rows
    side.total[:], side.squares[:] = state["total"], state["squares"]
    side.capital[:], side.peak[:] = state["capital"], state["peak"]
    side.peak[state["impossible"]] = np.inf
