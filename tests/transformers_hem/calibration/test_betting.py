"""The bounds that hold at any time, against a slow computation of the paper's formulas, and counted
over many sequences."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from transformers_hem.calibration.betting import ConfidenceSequence, Wagers
from transformers_hem.calibration.threshold_search import ThresholdSearch

ERROR = 0.1
SEQUENCES = 300
# What bounds that fail one time in ten may show in 300 sequences, 99 times out of 100.
MOST_MISSED = int(binom.ppf(0.99, SEQUENCES, ERROR))

Floats = NDArray[np.float64]


def slow_peak(values: list[float], limit: float, population: int | None) -> float:
    """The highest capital against "the mean is at least `limit`", a value at a time."""
    capital = peak = 1.0
    for index, value in enumerate(values):
        before = values[:index]
        expected = limit
        if population is not None:
            expected = (population * limit - sum(before)) / (population - index)
            if expected > 1:
                return np.inf
        mean = (limit + sum(before)) / (index + 1)
        spread = (0.25 + sum((each - limit) ** 2 for each in before)) / (index + 1)
        bet = max((limit - mean) / spread, 0.0)
        if expected < 1:
            bet = min(bet, 0.5 / (1 - expected))
        capital *= 1 + bet * (expected - value)
        peak = max(peak, capital)
    if population is not None and population * limit - sum(values) > population - len(values):
        return np.inf
    return peak


@pytest.mark.parametrize("population", [None, 60, 40])
@pytest.mark.parametrize("limit", [0.2, 0.5, 0.9])
def test_capitals_are_those_of_the_paper_in_whatever_batches(
    population: int | None, limit: float
) -> None:
    values = np.random.default_rng(3).beta(2, 3, 40).round(3)
    wagers = Wagers(np.array([limit, 0.4]), population)
    for batch in np.split(values, [1, 2, 17]):
        wagers.add(batch[:, None])
    expected = slow_peak(values.tolist(), limit, population)
    assert np.exp(wagers.peak[0]) == pytest.approx(expected, rel=1e-9)


def slow_interval(values: list[float], population: int | None, cells: int) -> tuple[float, float]:
    def outermost(sides: list[float]) -> float:
        lowest = 1.0
        for step in range(cells, 0, -1):
            if slow_peak(sides, step / cells, population) < 2 / ERROR:
                break
            lowest = step / cells
        return lowest

    return 1 - outermost([1 - value for value in values]), outermost(values)


@pytest.mark.parametrize("population", [None, 200, 120])
def test_an_interval_is_what_is_not_refuted_with_its_steps_rounded_outwards(
    population: int | None,
) -> None:
    values = (np.random.default_rng(5).random(120) < 0.3).astype(float)
    sequence = ConfidenceSequence(ERROR, population=population, cells=40)
    assert sequence.interval == (0.0, 1.0)
    for batch in np.split(values, [50]):
        interval = sequence.update(batch)
    assert interval == pytest.approx(slow_interval(values.tolist(), population, 40))
    finer = ConfidenceSequence(ERROR, population=population, cells=1000).update(values)
    assert interval.low <= finer.low + 1e-9 < finer.high <= interval.high + 1e-9


def test_who_has_seen_all_rows_knows_the_mean_but_for_the_steps() -> None:
    values = np.random.default_rng(0).random(50)
    low, high = ConfidenceSequence(ERROR, population=50).update(values)
    assert low <= values.mean() <= high
    assert high - low <= 0.0021


def test_other_ranges_are_the_same_stretched() -> None:
    values = np.random.default_rng(1).random(80)
    unit = ConfidenceSequence(ERROR).update(values)
    stretched = ConfidenceSequence(ERROR, low=-3, high=7).update(10 * values - 3)
    assert stretched == pytest.approx((10 * unit.low - 3, 10 * unit.high - 3))


@pytest.mark.parametrize("population", [None, 90, 55])
def test_a_state_goes_through_json_and_goes_on(population: int | None) -> None:
    values = np.random.default_rng(2).random(55)
    whole = ConfidenceSequence(ERROR, population=population)
    first = ConfidenceSequence(ERROR, population=population)
    whole.update(values)
    first.update(values[:30])
    second = ConfidenceSequence.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert second.update(values[30:]) == whole.interval
    assert second.rows == 55
    assert json.dumps(second.state(), allow_nan=False)
    with pytest.raises(ValueError, match="version 7"):
        ConfidenceSequence.restore(first.state() | {"version": 7})


@pytest.mark.parametrize(
    ("settings", "values", "said"),
    [
        ({"error": 0.0}, [], "an error must be between 0 and 1"),
        ({"error": 0.1, "low": 1.0}, [], "1 to 1 is not a range"),
        ({"error": 0.1, "population": 0}, [], "at least one row"),
        ({"error": 0.1}, [0.5, 1.5], "not between 0 and 1"),
        ({"error": 0.1}, [np.nan], "not between 0 and 1"),
        ({"error": 0.1, "population": 2}, [0.5] * 3, "more values than the 2"),
    ],
)
def test_what_can_be_no_sample_is_refused(
    settings: dict[str, float], values: list[float], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ConfidenceSequence(**settings).update(values)  # type: ignore[arg-type]


def draws(kind: str, rng: np.random.Generator) -> tuple[Floats, Floats, int | None]:
    """Values [n, SEQUENCES], their means, and the population that each column is all of, or
    None."""
    size = (400, SEQUENCES)
    if kind == "rare":
        return (rng.random(size) < 0.02).astype(float), np.full(SEQUENCES, 0.02), None
    if kind == "graded":
        return rng.beta(0.5, 2, size), np.full(SEQUENCES, 0.2), None
    values = (rng.random(size) < 0.4) * rng.random(size)
    return values, values.mean(axis=0), len(values)


@pytest.mark.parametrize("kind", ["rare", "graded", "population"])
def test_intervals_that_are_looked_at_after_each_row_hold(kind: str) -> None:
    """Each column bets against its own true mean; an interval that ever misses it has refuted it,
    and a step beside it, too."""
    values, means, population = draws(kind, np.random.default_rng(11))
    below, above = Wagers(means, population), Wagers(1 - means, population)
    below.add(values)
    above.add(1 - values)
    missed = below.refuted(ERROR / 2) | above.refuted(ERROR / 2)
    print(f"{kind}: {missed.sum()} of {SEQUENCES} missed")
    assert missed.sum() <= MOST_MISSED
    low, high = ConfidenceSequence(ERROR, population=population).update(values[:, 0])
    assert high - low < 0.15


def test_a_bound_for_a_fixed_number_of_rows_does_not_hold_at_all_times() -> None:
    """What the bets are paid for: the normal interval, looked at after each row."""
    values = (np.random.default_rng(0).random((400, SEQUENCES)) < 0.3).astype(float)
    rows = np.arange(1, 401)[:, None]
    mean = np.cumsum(values, axis=0) / rows
    off = np.abs(mean - 0.3) > 1.645 * np.sqrt(0.3 * 0.7 / rows)
    assert off[30:].any(axis=0).sum() > 2 * MOST_MISSED


THRESHOLDS = np.linspace(0, 1, 101)
LIMIT, CONFIDENCE = 0.05, 0.9


def answered(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Scores, and losses that grow with them: on average LIMIT at the threshold 0.5."""
    scores = rng.random(rows)
    return scores, (rng.random(rows) < 0.4 * scores).astype(float)


def mean_loss(threshold: float) -> float:
    return 0.2 * threshold**2  # the integral of 0.4 s up to it


@pytest.mark.parametrize("population", [None, 1500])
def test_a_search_ended_whenever_it_looks_best_keeps_its_promise(population: int | None) -> None:
    rng = np.random.default_rng(4)
    broken, out_of_reach, kept = 0, 0, []
    for _ in range(SEQUENCES):
        scores, losses = answered(rng, 1500)
        search = ThresholdSearch(THRESHOLDS, LIMIT, CONFIDENCE, population)
        for batch in np.split(np.arange(1500), 10):
            needless = scores[batch] > search.cap
            search.add(scores[batch], np.where(needless, np.nan, losses[batch]))
        true = np.array([mean_loss(each) for each in THRESHOLDS])
        if population is not None:
            true = np.array([np.where(scores <= each, losses, 0).mean() for each in THRESHOLDS])
        broken += bool((true[: search.kept] > LIMIT).any())
        out_of_reach += bool((true[search.possible :] <= LIMIT).any())
        kept.append(search.kept)
        assert search.kept <= search.possible
    print(f"{population}: {broken} broken, {out_of_reach} wrong, {np.mean(kept)} thresholds kept")
    assert broken <= MOST_MISSED
    assert out_of_reach <= MOST_MISSED
    assert 40 <= np.mean(kept) <= 52  # 51 of them lose at most the limit


def test_the_best_threshold_is_estimated_from_the_rows_that_were_labelled() -> None:
    search = ThresholdSearch(THRESHOLDS, LIMIT, CONFIDENCE)
    assert (search.kept, search.possible, search.cap) == (0, 101, 1.0)
    assert np.isnan(search.mean_losses).all() and search.best == 0
    scores, losses = answered(np.random.default_rng(0), 4000)
    search.add(scores, losses)
    assert search.cap < 0.6
    assert 0 < search.kept <= search.best <= search.possible
    assert THRESHOLDS[search.best - 1] == pytest.approx(0.5, abs=0.06)
    assert search.mean_losses[50] == pytest.approx(np.where(scores <= 0.5, losses, 0).mean())
    assert np.isfinite(search.mean_losses).all()
