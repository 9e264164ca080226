"""Live scores beside those that the threshold was chosen on."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import StartServer
from transformers_hem.algorithms.base import Batch
from transformers_hem.calibration.config import ScoreSpread
from transformers_hem.calibration.drift import (
    LEAST,
    WINDOW,
    ScoreDrift,
)
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

RNG = np.random.default_rng(0)


def drift() -> ScoreDrift:
    return ScoreDrift("LinearRouter", ScoreSpread.of(RNG.beta(2, 5, 5000)))


def test_the_spread_of_scores_is_in_deciles() -> None:
    spread = ScoreSpread.of(np.arange(1, 101) / 100)
    assert np.allclose(spread.edges, np.arange(1, 10) / 10, atol=0.011)
    assert np.allclose(spread.shares, 0.1, atol=0.011)
    assert spread.rows == 100


@pytest.mark.parametrize("scores", [[0.3] * 50, [0.0] * 30 + [1.0] * 20, [0.1, np.nan, 0.2]])
def test_equal_and_missing_scores_leave_fewer_bins(scores: list[float]) -> None:
    spread = ScoreSpread.of(np.array(scores))
    assert sum(spread.shares) == pytest.approx(1)
    assert min(spread.shares) > 0
    assert spread.rows == len([score for score in scores if score == score])


def test_the_index_is_the_sum_over_bins_of_difference_times_log_ratio() -> None:
    watched = ScoreDrift("x", ScoreSpread(edges=(0.5,), shares=(0.5, 0.5), rows=10**9))
    watched.add(np.array([0.2] * 800 + [0.7] * 200))
    assert watched.index() == pytest.approx(0.6 * math.log(4) / 2 * 1, abs=0.01)


def test_the_same_population_stays_far_below_the_alarm() -> None:
    watched = drift()
    for _ in range(20):
        watched.add(RNG.beta(2, 5, 200))
        assert watched.index() < 0.1


def test_another_population_is_above_it_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched = drift()
    with caplog.at_level(logging.WARNING, "kserve.hem"):
        watched.add(RNG.beta(2, 5, WINDOW))
        assert not caplog.records
        for _ in range(WINDOW):
            watched.add(RNG.beta(4, 4, 1))
        assert watched.index() > 0.2
        assert len(caplog.records) == 1
        assert "algorithm=LinearRouter psi=0." in caplog.records[0].getMessage()
        watched.add(RNG.beta(2, 5, WINDOW))  # the window forgets
        assert watched.index() < 0.1
        watched.add(RNG.beta(4, 4, WINDOW))
    assert len(caplog.records) == 2


@pytest.mark.parametrize("rows", [30, 50, 100, 1000])
def test_a_small_calibration_is_no_reason_to_warn(rows: int) -> None:
    """At 0.2 whatever its size, 30 rows were warned of four times in five without any drift."""
    alarms = 0
    for _ in range(200):
        watched = ScoreDrift("x", ScoreSpread.of(RNG.beta(2, 5, rows)))
        watched.add(RNG.beta(2, 5, WINDOW))
        alarms += watched.index() > watched.alarm()
    assert alarms <= 4
    watched = ScoreDrift("x", ScoreSpread.of(RNG.beta(2, 5, rows)))
    watched.add(RNG.beta(6, 2, WINDOW))
    assert watched.index() > watched.alarm()


def test_too_few_scores_say_nothing() -> None:
    watched = drift()
    watched.add(np.full(LEAST - 1, 0.99))
    watched.add(np.array([np.nan] * 500))
    assert math.isnan(watched.index())
    watched.add(np.array([0.99]))
    assert watched.index() > 0.2


def decider() -> Decider:
    return build_decider(HEMSettings(router="embedded:linear"))


def test_every_row_that_is_scored_counts_and_what_is_overruled_does_not() -> None:
    routed = decider()
    assert routed.drift is not None
    routed.decide(Batch(2, texts=("What is 2 + 2?",) * 2), prefer="edge")
    for _ in range(LEAST // 2 - 1):
        routed.decide(Batch(2, texts=("What is 2 + 2?",) * 2))
    assert math.isnan(routed.drift.index())
    routed.decide(Batch(2, texts=("What is 2 + 2?",) * 2))
    assert routed.drift.index() > 0.2


def test_prometheus_sees_it(start_server: StartServer, tmp_path: Path) -> None:
    import httpx

    server = start_server(
        "transformers_hem",
        "--model_name",
        "hem",
        env={"HEM_ROUTER": "embedded:linear"},
        ready="/v2/models/hem/ready",
    )
    name = 'hem_score_psi{algorithm="LinearRouter"}'
    assert f"{name} NaN" in httpx.get(f"{server.url}/metrics").text
    rows = ["What is 2 + 2?"] * LEAST
    tensor = {"name": "text_input", "shape": [LEAST], "datatype": "BYTES", "data": rows}
    asked = httpx.post(f"{server.url}/v2/models/hem/infer", json={"inputs": [tensor]})
    assert asked.status_code == 200
    server.wait_logged("drift algorithm=LinearRouter")
    shown = httpx.get(f"{server.url}/metrics").text
    value = next(line for line in shown.splitlines() if line.startswith(name)).split()[-1]
    assert float(value) > 0.2
