"""What a status says of promises, from the counters alone."""

import math

import pytest
from scipy.stats import binomtest

from inferencegraph.cluster.promise import HOLDS, NONE, UNKNOWN, VOID, promise, wilson
from inferencegraph.cluster.telemetry import Figures
from transformers_hem.calibration.drift import ALARM


@pytest.mark.parametrize(("count", "rows"), [(0, 5), (5, 5), (3, 7), (610, 1000), (1, 100_000)])
def test_the_interval_is_wilsons(count: int, rows: int) -> None:
    interval = wilson(count, rows)
    wanted = binomtest(count, rows).proportion_ci(0.95, method="wilson")
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_of_nothing_asked_there_is_no_share() -> None:
    assert wilson(0, 0) is None
    assert promise(Figures()).share is None


@pytest.mark.parametrize(
    ("samples", "quality"),
    [
        ([], NONE),
        ([math.nan], UNKNOWN),
        ([0.05], HOLDS),
        ([ALARM], HOLDS),
        ([ALARM + 0.01], VOID),
        ([0.05, 0.5], VOID),
        ([math.nan, 0.05], HOLDS),
    ],
)
def test_quality_stands_on_the_drift_of_the_worst_replica(
    samples: list[float], quality: str
) -> None:
    figures = Figures()
    for value in samples:
        figures.add(f'hem_score_psi{{algorithm="LinearRouter"}} {value}\n', "hem")
    assert promise(figures).quality == quality


def test_cost_is_each_sides_mean_by_its_share() -> None:
    figures = Figures()
    figures.add(
        'hem_attempts_total{model="s",route="edge",outcome="answered"} 75\n'
        'hem_attempts_total{model="l",route="cloud",outcome="answered"} 25\n'
        'hem_cost_total{model="s",route="edge",outcome="answered",currency="EUR"} 0.75\n'
        'hem_cost_total{model="l",route="cloud",outcome="answered",currency="EUR"} 2.5\n',
        "hem",
    )
    own = promise(figures)
    assert own.currency == "EUR"
    assert own.cost is not None
    share = wilson(25, 100)
    assert share is not None
    assert own.cost.value == pytest.approx(32.5)
    assert own.cost.low == pytest.approx(1000 * (0.01 + share.low * 0.09))
    assert own.cost.high == pytest.approx(1000 * (0.01 + share.high * 0.09))


def test_errors_are_the_gateways_calls_or_else_the_uplinks() -> None:
    uplink = (
        'request_predict_seconds_count{model_name="qa-uplink"} 90\n'
        'hem_upstream_retries_total{upstream="u"} 10\n'
        'hem_upstream_failures_total{upstream="u",kind="timeout"} 20\n'
    )
    figures = Figures()
    figures.add(uplink, "edge")
    assert figures.error_rate is None
    figures.add(uplink, "uplink")
    assert figures.error_rate == pytest.approx(0.2)
    figures.add(
        'hem_attempts_total{model="l",route="cloud",outcome="answered"} 30\n'
        'hem_attempts_total{model="l",route="cloud",outcome="failed"} 10\n'
        'hem_attempts_total{model="l",route="cloud",outcome="cancelled"} 60\n',
        "hem",
    )
    assert figures.error_rate == pytest.approx(0.25)
