"""Tests of a mean loss: never wrong more often than they say, and not much too careful."""

import numpy as np
import pytest
from scipy.stats import beta, norm

from transformers_hem.calibration.quality_loss import (
    refutes_by_betting,
    refutes_by_counts,
    tail,
)

ERROR = 0.1


def draws(rows: int, differ: float, mean: float, count: int) -> np.ndarray:
    """How many were lost, won and neither, in `count` samples whose mean loss is `mean`."""
    rng = np.random.default_rng(rows)
    shares = [(differ + mean) / 2, (differ - mean) / 2, 1 - differ]
    return rng.multinomial(rows, shares, size=count)


@pytest.mark.parametrize(
    ("rows", "differ", "limit"),
    [
        (300, 0.05, 0.05),
        (1000, 0.02, 0.02),
        (1000, 0.1, 0.02),
        (1000, 0.4, 0.05),
        (3000, 0.2, 0.01),
    ],
)
def test_a_loss_at_the_limit_is_refuted_no_more_often_than_the_error(
    rows: int, differ: float, limit: float
) -> None:
    wrong = [
        refutes_by_counts(int(lost), int(won), rows, limit, ERROR)
        for lost, won, _ in draws(rows, differ, limit, 1500)
    ]
    assert np.mean(wrong) <= ERROR + 2 * np.sqrt(ERROR * (1 - ERROR) / 1500)


def test_it_refutes_nearly_as_often_as_a_normal_approximation_that_promises_nothing() -> None:
    rows, limit = 3000, 0.02
    table = draws(rows, 0.15, 0.005, 500)
    exact = np.mean([refutes_by_counts(int(a), int(b), rows, limit, ERROR) for a, b, _ in table])
    mean = (table[:, 0] - table[:, 1]) / rows
    deviation = np.sqrt((table[:, 0] + table[:, 1]) / rows - mean**2) / np.sqrt(rows)
    assert exact > np.mean(mean + norm.ppf(1 - ERROR) * deviation <= limit) - 0.1


@pytest.mark.parametrize("rows", [200, 1000, 5000])
def test_where_the_edge_never_wins_it_is_nearly_clopper_and_pearsons(rows: int) -> None:
    limit = 0.05
    lost = np.arange(rows // 10)
    most = max(k for k in lost if beta.ppf(1 - ERROR, k + 1, rows - k) <= limit)
    ours = max(k for k in lost if refutes_by_counts(int(k), 0, rows, limit, ERROR))
    assert most * 0.93 - 1 <= ours <= most


def test_thetail_is_that_of_adding_up_row_by_row() -> None:
    rows, differ, limit = 60, 0.3, 0.05
    one = np.array([(differ - limit) / 2, 1 - differ, (differ + limit) / 2])
    sums = np.array([1.0])
    for _ in range(rows):
        sums = np.convolve(sums, one)
    for total in (-10, -3, 0, 4):
        exact = sums[: rows + total + 1].sum()
        assert tail(total, rows, differ, limit) == pytest.approx(exact, abs=1e-8)
        assert tail(total, rows, differ, limit) >= exact


@pytest.mark.parametrize("total", [-8, -4, 0])
def test_more_differing_rows_make_it_harder_to_refute(total: int) -> None:
    tails = [tail(total, 400, differ, 0.05) for differ in np.linspace(0.05, 0.5, 40)]
    assert (np.diff(tails) > -1e-12).all()


def test_too_few_rows_and_losses_that_are_too_high_refute_nothing() -> None:
    assert not refutes_by_counts(0, 0, 50, 0.02, ERROR)
    assert not refutes_by_counts(30, 0, 1000, 0.02, ERROR)
    assert not refutes_by_counts(400, 390, 1000, 0.02, ERROR)


def test_bets_on_scores_are_wrong_no_more_often_than_the_error() -> None:
    rng = np.random.default_rng(1)
    limit = 0.05
    losses = rng.beta(2, 6, (600, 800)) * 1.0 + (limit - 0.25)  # a mean of exactly the limit
    wrong = [refutes_by_betting(row, limit, ERROR) for row in losses]
    assert np.mean(wrong) <= ERROR + 2 * np.sqrt(ERROR * (1 - ERROR) / 600)
    good = [refutes_by_betting(row - 0.03, limit, ERROR) for row in losses[:100]]
    assert np.mean(good) > 0.9
