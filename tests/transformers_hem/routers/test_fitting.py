"""Logistic regression on shares of right answers, beside scikit-learn's on whole ones."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from transformers_hem.routers.fitting import both_logistic, logistic

ROWS, COLUMNS = 300, 40


@pytest.fixture(scope="module")
def rows() -> csr_matrix:
    """Most columns are next to empty, as those of rare words are."""
    rng = np.random.default_rng(0)
    common = 1 / (1 + np.arange(COLUMNS))
    return csr_matrix((rng.random((ROWS, COLUMNS)) < common) * rng.random((ROWS, COLUMNS)))


@pytest.fixture(scope="module")
def target(rows: csr_matrix) -> np.ndarray:
    rng = np.random.default_rng(1)
    sums = rows @ rng.normal(size=COLUMNS) * 3
    found = (rng.random(ROWS) < 1 / (1 + np.exp(-sums))).astype(float)
    found[::9] = 0.3
    return found


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    found = np.random.default_rng(2).random(ROWS)
    found[::5] = 0
    return found


def doubled(rows: csr_matrix, target: np.ndarray, weights: np.ndarray, c: float) -> np.ndarray:
    """scikit-learn's coefficients and intercept: a share is a row of either kind."""
    twice = np.concatenate([rows.toarray(), rows.toarray()])
    kinds = np.repeat([1, 0], len(target))
    shares = np.concatenate([weights * target, weights * (1 - target)])
    model = LogisticRegression(C=c, solver="newton-cg", tol=1e-10, max_iter=1000)
    model.fit(twice[shares > 0], kinds[shares > 0], sample_weight=shares[shares > 0])
    return np.append(model.coef_[0], model.intercept_[0])


@pytest.mark.parametrize("c", [0.3, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("dense", [False, True])
def test_it_is_scikit_learns(
    rows: csr_matrix, target: np.ndarray, weights: np.ndarray, c: float, dense: bool
) -> None:
    found = logistic(rows.toarray() if dense else rows, target, c, weights)
    assert np.append(*found) == pytest.approx(doubled(rows, target, weights, c), abs=2e-5)


def test_where_the_search_begins_changes_nothing(rows: csr_matrix, target: np.ndarray) -> None:
    cold = logistic(rows, target, 10.0)
    warm = logistic(rows, target, 10.0, start=logistic(rows, target, 0.3))
    assert np.append(*warm) == pytest.approx(np.append(*cold), abs=2e-5)


def test_both_sides_are_fitted_as_each_alone(
    rows: csr_matrix, target: np.ndarray, weights: np.ndarray
) -> None:
    found = both_logistic(rows, (target, 1 - target), 1.0, (weights, None))
    alone = logistic(rows, target, 1.0, weights), logistic(rows, 1 - target, 1.0)
    for one, other in zip(found, alone, strict=True):
        assert (one[0] == other[0]).all() and one[1] == other[1]


def test_a_row_that_weighs_nothing_may_say_anything(
    rows: csr_matrix, target: np.ndarray, weights: np.ndarray
) -> None:
    other = np.where(weights > 0, target, 1 - target)
    before, after = (logistic(rows, each, 1.0, weights) for each in (target, other))
    assert (before[0] == after[0]).all()


def test_who_is_never_right_has_no_slope(rows: csr_matrix) -> None:
    coefficients, intercept = logistic(rows, np.zeros(ROWS), 1.0)
    assert not coefficients.any() and intercept < -5
