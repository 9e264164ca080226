import numpy as np
import pytest

from transformers_hem.calibration.config import ScoreSpread
from transformers_hem.lifelong.drifting import drift

SPREAD = ScoreSpread.of(np.random.default_rng(0).beta(2, 5, 2000))


def test_the_traffic_of_the_calibration_is_no_drift() -> None:
    assert not drift("LinearRouter", SPREAD, np.random.default_rng(1).beta(2, 5, 800)).drifted


def test_only_the_newest_scores_say_whether_queries_have_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(2)
    old, new = rng.beta(2, 5, 3000), rng.beta(5, 2, 1000)
    assert drift("LinearRouter", SPREAD, np.concatenate([old, new])).drifted
    assert not drift("LinearRouter", SPREAD, np.concatenate([new, old])).drifted
    assert caplog.text == ""  # a server's advice to calibrate is none for who retrains


def test_a_few_scores_say_nothing() -> None:
    assert not drift("LinearRouter", SPREAD, np.ones(50)).drifted
