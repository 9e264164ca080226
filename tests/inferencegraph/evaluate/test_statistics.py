"""Intervals and comparisons, beside values that are computed in other ways."""

import itertools

import numpy as np
import pytest
from scipy import stats

from inferencegraph.evaluate.statistics import (
    Resampler,
    compare,
    holm,
    interval,
    mean_interval,
    paired_p_value,
)


def test_a_mean_has_scipys_bootstrap_interval() -> None:
    values = np.random.default_rng(1).exponential(2.0, 300)
    found = mean_interval(values, Resampler(300, 5_000), 0.95)
    scipys = stats.bootstrap(
        (values,), np.mean, n_resamples=5_000, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert found is not None
    width = scipys.high - scipys.low
    assert found.low == pytest.approx(scipys.low, abs=0.06 * width)
    assert found.high == pytest.approx(scipys.high, abs=0.06 * width)


def test_sums_and_means_are_those_of_the_drawn_questions() -> None:
    values = np.array([1.0, 5.0, np.nan, 2.0, 100.0])
    resampler = Resampler(5, 400, seed=3)
    counts = np.concatenate(list(resampler.blocks()))
    assert (counts.sum(axis=1) == 5).all()
    drawn = [np.repeat(values, count.astype(int)) for count in counts]
    present = [each[~np.isnan(each)] for each in drawn]
    expected = [each.mean() if len(each) else np.nan for each in present]
    assert np.allclose(resampler.means(values), expected, rtol=1e-4, equal_nan=True)


def test_quantiles_are_those_of_the_drawn_questions() -> None:
    values = np.array([3.0, np.nan, 1.0, 2.0, 9.0, 4.0])
    resampler = Resampler(6, 300, seed=5)
    counts = np.concatenate(list(resampler.blocks()))
    for share in (0.25, 0.5, 0.95):
        for count, found in zip(counts, resampler.quantiles(values, share), strict=True):
            drawn = np.repeat(values, count.astype(int))
            drawn = drawn[~np.isnan(drawn)]
            if len(drawn):
                assert found == np.quantile(drawn, share, method="inverted_cdf")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_are_alike_the_interval_is_clopper_and_pearsons(share: float) -> None:
    found = mean_interval(np.full(60, share), Resampler(60), 0.95)
    exact = stats.binomtest(int(60 * share), 60).proportion_ci(0.95, "exact")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_there_is_no_interval_of_nothing() -> None:
    assert mean_interval(np.full(3, np.nan), Resampler(3), 0.95) is None


def test_an_interval_covers_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).binomial(1, 0.3, 150).astype(float)
        found = mean_interval(values, Resampler(150, 400, seed), 0.9)
        assert found is not None
        covered += found.low <= 0.3 <= found.high
    assert covered >= stats.binom.ppf(0.001, 200, 0.88)


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (5, 0), (9, 3), (40, 41)])
def test_binary_answers_are_compared_by_mcnemars_exact_test(won: int, lost: int) -> None:
    differences = np.array([1.0] * won + [-1.0] * lost + [0.0] * 20)
    count = won + lost
    outcomes = (
        [sum(signs) for signs in itertools.product((0, 1), repeat=count)] if count < 13 else []
    )
    expected = (
        np.mean([abs(k - count / 2) >= abs(won - count / 2) for k in outcomes])
        if outcomes
        else stats.binomtest(won, count).pvalue
    )
    assert paired_p_value(differences) == pytest.approx(expected)


def test_graded_answers_are_compared_by_changing_signs() -> None:
    differences = np.array([0.5, 0.2, -0.1, 0.4, 0.3, 0.25, 0.0])
    nonzero = differences[differences != 0]
    sums = [np.dot(signs, nonzero) for signs in itertools.product((-1, 1), repeat=6)]
    exact = np.mean([abs(each) >= abs(nonzero.sum()) - 1e-12 for each in sums])
    assert paired_p_value(differences) == pytest.approx(exact, abs=0.01)


def test_holms_adjustment_is_that_of_the_definition() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_systems_are_compared_question_by_question() -> None:
    random = np.random.default_rng(2)
    baseline = random.binomial(1, 0.8, 400).astype(float)
    worse = baseline * random.binomial(1, 0.9, 400)
    same, lower = compare([baseline, worse], baseline, Resampler(400), 0.95)
    assert (same.mean, same.p_value, same.interval.low) == (0.0, 1.0, 0.0)
    assert lower.mean == pytest.approx(float((worse - baseline).mean()))
    assert lower.interval.low < lower.mean < lower.interval.high < 0
    assert lower.adjusted == pytest.approx(2 * lower.p_value)


def test_an_interval_is_the_draws_quantiles() -> None:
    found = interval(np.array([*map(float, range(101)), np.nan]), 0.9)
    assert (found.low, found.high) == pytest.approx((5.0, 95.0))
