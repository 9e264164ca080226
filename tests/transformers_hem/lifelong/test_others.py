"""Leaving a client out by linear algebra, beside regressions that were never told of it."""

import numpy as np
import pytest

from transformers_hem.lifelong.others import LEVEL_PENALTIES, PENALTY, Regression, Sums

WORDS, KNOWN, SAID = 12, 60, 70
COLUMNS = WORDS + len(LEVEL_PENALTIES)


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, outcomes and weights, of known ones and of those that clients said."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(KNOWN + SAID, COLUMNS)).astype(np.float32)
    rows[:, WORDS:] = 1
    rows[:KNOWN, WORDS + 1 :] = 0
    return rows, rng.random(KNOWN + SAID), rng.uniform(0.1, 1, KNOWN + SAID)


def penalised(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    penalties = np.diag([PENALTY] * WORDS + [*LEVEL_PENALTIES])
    return np.asarray(rows.T @ (rows * weights[:, None]) + penalties)


@pytest.mark.parametrize("count", [1, 8, COLUMNS, COLUMNS + 1, SAID])
def test_it_is_as_if_the_rows_had_never_been_said(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], count: int
) -> None:
    features, outcomes, weights = rows
    known = Sums.of(features[:KNOWN], outcomes[:KNOWN], weights[:KNOWN])
    whole = Regression(known, features[KNOWN:], outcomes[KNOWN:], weights[KNOWN:])
    chosen = np.random.default_rng(1).permutation(SAID)[:count]
    guess, unsure = whole.without(chosen)
    kept = np.delete(np.arange(KNOWN + SAID), KNOWN + chosen)
    features = features.astype(float)
    left = features[KNOWN + chosen]
    gram = penalised(features[kept], weights[kept])
    beta = np.linalg.solve(gram, features[kept].T @ (weights[kept] * outcomes[kept]))
    assert guess == pytest.approx(np.clip(left @ beta, 0.02, 0.98), abs=1e-5)
    along = np.random.default_rng(2).normal(size=(3, count))
    spread = whole.noise * left @ np.linalg.solve(gram, left.T)
    assert unsure(along) == pytest.approx(np.diag(along @ spread @ along.T), rel=1e-4)


def test_rows_are_summed_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows, outcomes, weights = rng.random((10, 4)).astype(np.float32), rng.random(10), np.ones(10)
    once = Sums.of(rows, outcomes, weights)
    monkeypatch.setattr("transformers_hem.lifelong.others.CHUNK", 3)
    parts = Sums.of(rows, outcomes, weights)
    assert parts.gram == pytest.approx(once.gram) and parts.moment == pytest.approx(once.moment)
    assert (parts.square, parts.total) == (once.square, once.total)
