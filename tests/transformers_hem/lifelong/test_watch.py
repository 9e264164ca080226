"""Alarms about promises that are kept and broken, looked at after every row."""

import numpy as np
import pytest

from transformers_hem.lifelong.watch import served_losses, watch

LIMIT = 0.02


def losses(rows: int, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Of -1, 0 and 1: the edge wins on 2% of the queries."""
    draws = rng.random(rows)
    return np.where(draws < 0.02, -1.0, np.where(draws < 0.04 + mean, 1.0, 0.0))


def test_a_promise_that_is_just_kept_hardly_ever_alarms_at_any_time() -> None:
    """Looked at after each of 3,000 rows, 100 times over: an error of 0.05 allows 5 alarms."""
    alarms = [
        watch(losses(3000, LIMIT, np.random.default_rng(seed)), LIMIT, error=0.05).broken
        for seed in range(100)
    ]
    assert sum(alarms) <= 5


def test_a_test_of_fixed_size_would_cheat() -> None:
    """Why it takes such a bound: the usual one-sided test of 5%, looked at after each row."""
    alarms = 0
    for seed in range(100):
        values = losses(3000, LIMIT, np.random.default_rng(seed))
        count = np.arange(1, 3001)
        mean = np.cumsum(values) / count
        spread = np.sqrt(np.maximum(np.cumsum(values**2) / count - mean**2, 1e-9) / count)
        alarms += bool(((mean - LIMIT) / spread > 1.645)[100:].any())
    assert alarms > 20


def test_a_bad_router_is_seen_within_some_hundred_pairs() -> None:
    found = [watch(losses(400, 0.2, np.random.default_rng(seed)), LIMIT) for seed in range(20)]
    assert all(alarm.broken for alarm in found)
    assert np.median([alarm.at for alarm in found if alarm.at is not None]) < 150


def test_a_promise_that_was_long_kept_and_then_broken_is_seen_as_soon_about() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([losses(3000, 0.0, rng), losses(600, 0.2, rng)])
    alarm = watch(values, LIMIT)
    assert alarm.broken and alarm.at is not None
    assert 3000 <= alarm.at < 3350


def test_an_alarm_stays_and_does_not_depend_on_when_somebody_looks() -> None:
    values = losses(500, 0.3, np.random.default_rng(1))
    whole = watch(values, LIMIT)
    assert whole.at is not None
    assert watch(values[: whole.at + 1], LIMIT).at == whole.at
    assert not watch(values[: whole.at], LIMIT).broken


def test_nothing_seen_is_no_alarm() -> None:
    alarm = watch(np.array([]), LIMIT)
    assert not alarm.broken and alarm.rows == 0


def test_only_what_stays_at_the_edge_can_lose() -> None:
    outcomes = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert served_losses(np.array([0.9, 0.1, 0.5]), 0.5, outcomes).tolist() == [0, 1, -1]


def test_what_is_no_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="not between -1 and 1"):
        watch(np.array([0.0, 1.5]), LIMIT)
