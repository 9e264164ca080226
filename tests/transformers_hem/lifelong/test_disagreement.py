"""How unlikely sums are, told as standard deviations."""

import numpy as np
import pytest

from transformers_hem.lifelong.disagreement import deviations

DRAWS = 4000


def told(outcomes: np.ndarray, expected: np.ndarray, doubt: float = 0.0) -> np.ndarray:
    """Of outcomes [draws, n], each draw by itself."""
    sums = (outcomes - expected).sum(axis=1)
    along = np.ones((len(sums), len(expected)))
    return deviations(sums, along, expected, np.full(len(sums), doubt))


@pytest.mark.parametrize("count", [1, 5, 40, 400])
@pytest.mark.parametrize("chance", [0.03, 0.5, 0.97])
def test_honest_sums_are_rarely_far_away(count: int, chance: float) -> None:
    """No more often than Chernoff's bound says: exp(-2.5^2 / 2) is 0.044."""
    expected = np.full(count, chance)
    outcomes = np.random.default_rng(0).random((DRAWS, count)) < chance
    assert (told(outcomes, expected) > 2.5).mean() <= 0.044
    assert (told(outcomes, expected) > 4.0).mean() <= 0.001


def test_of_many_outcomes_they_are_those_of_a_normal_variable() -> None:
    expected = np.full(1000, 0.5)
    outcomes = (np.arange(1000) < 540).astype(float)[None, :]
    assert told(outcomes, expected)[0] == pytest.approx(40 / np.sqrt(250), rel=0.02)
    doubted = told(outcomes, expected, doubt=750.0)[0]
    assert doubted == pytest.approx(40 / np.sqrt(1000), rel=0.02)


def test_a_single_surprise_is_no_lie_and_forty_are() -> None:
    rare = np.full(40, 0.05)
    assert told(np.ones((1, 1)), rare[:1])[0] < 2.5
    assert told(np.ones((1, 40)), rare)[0] > 10


def test_a_sum_on_the_other_side_is_no_disagreement() -> None:
    assert told(np.zeros((1, 5)), np.full(5, 0.5))[0] == 0
