"""What calibration adds to a decision: the map to probabilities, and the watch for drift."""

import json
import timeit

import numpy as np
import pytest

from transformers_hem.calibration.config import ScoreSpread
from transformers_hem.calibration.drift import WINDOW, ScoreDrift
from transformers_hem.routers.assessment import calibrate_probabilities

pytestmark = pytest.mark.benchmark

RNG = np.random.default_rng(0)
MOST_MICROSECONDS = 50


def test_a_decision_pays_next_to_nothing_for_calibration() -> None:
    raw = RNG.beta(2, 5, 4000)
    made = calibrate_probabilities(raw, RNG.random(4000) < raw, seed=0)[0]
    watched, score = ScoreDrift("LinearRouter", ScoreSpread.of(raw)), np.array([0.3])
    watched.add(RNG.beta(2, 5, WINDOW))
    cost = {
        "map": min(timeit.repeat(lambda: made.apply(score), number=500, repeat=5)) / 500,
        "drift": min(timeit.repeat(lambda: watched.add(score), number=500, repeat=5)) / 500,
    }
    microseconds = {name: round(seconds * 1e6, 2) for name, seconds in cost.items()}
    print(json.dumps({"benchmark": "calibration", "microseconds": microseconds}))
    assert max(microseconds.values()) < MOST_MICROSECONDS
