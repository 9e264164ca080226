"""Two regressions that share a part."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.special import expit

from transformers_hem.routers.coupled import coupled
from transformers_hem.routers.fitting import logistic

Floats = np.ndarray
ROWS, COLUMNS = 400, 12


def answered(seed: int = 0) -> tuple[Floats, tuple[Floats, Floats], Floats]:
    """Queries [N, D], which of them either side gets right, and the edge's coefficients: the cloud
    finds the same hard, but less so."""
    rng = np.random.default_rng(seed)
    rows, hard = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=COLUMNS)
    edge, cloud = (
        (rng.random(ROWS) < expit(rows @ hard * by)).astype(float) for by in (1.0, 0.6)
    )
    return rows, (edge, cloud), hard


def test_without_a_correlation_they_are_two_regressions() -> None:
    rows, right, _ = answered()
    weights = np.linspace(0, 2, ROWS), np.ones(ROWS)
    coefficients, intercepts = coupled(rows, right, weights, 1.0, 0.0)
    for side in range(2):
        alone, intercept = logistic(rows, right[side], 1.0, weights[side])
        assert coefficients[:, side] == pytest.approx(alone, abs=1e-3)
        assert intercepts[side] == pytest.approx(intercept, abs=1e-3)


def test_what_one_side_shows_teaches_the_other() -> None:
    """The edge was seen in one row of twenty."""
    gained = []
    for seed in range(20):
        rows, right, hard = answered(seed)
        seldom = (np.arange(ROWS) % 20 == 0).astype(float)
        alone, together = (
            coupled(rows, right, (seldom, np.ones(ROWS)), 1.0, correlation)[0][:, 0]
            for correlation in (0.0, 0.8)
        )
        gained.append(np.corrcoef(together, hard)[0, 1] - np.corrcoef(alone, hard)[0, 1])
    assert np.mean(gained) > 0.1


def test_shares_count_as_so_many_rows_of_either_kind() -> None:
    rows, (edge, cloud), _ = answered()
    twice = np.concatenate([rows, rows])
    ones = np.ones(ROWS)
    shares, _ = coupled(rows, (np.full(ROWS, 0.3), cloud), (ones, ones), 1.0, 0.5)
    split = np.concatenate([ones, 0 * ones]), np.concatenate([cloud, cloud])
    counts = np.concatenate([0.3 * ones, 0.7 * ones]), np.concatenate([ones, 0 * ones])
    assert coupled(twice, split, counts, 1.0, 0.5)[0] == pytest.approx(shares, abs=1e-4)


def test_sparse_rows_teach_the_same() -> None:
    rows, right, _ = answered()
    ones = np.ones(ROWS), np.ones(ROWS)
    dense, _ = coupled(rows, right, ones, 1.0, 0.8)
    assert coupled(csr_matrix(rows), right, ones, 1.0, 0.8)[0] == pytest.approx(dense, abs=1e-6)


def test_a_side_that_is_always_right_has_an_end() -> None:
    rows, (edge, _), _ = answered()
    ones = np.ones(ROWS), np.ones(ROWS)
    coefficients, intercepts = coupled(rows, (edge, np.ones(ROWS)), ones, 1.0, 0.8)
    chances = expit(rows @ coefficients[:, 1] + intercepts[1])
    assert np.isfinite(intercepts).all() and chances.mean() > 0.95
