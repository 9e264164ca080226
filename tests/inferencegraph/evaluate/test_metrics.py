"""Each metric on a run of five questions, beside what is computed by hand."""

import math
from typing import Any

import numpy as np
import pytest

from inferencegraph.evaluate.metrics import BY_NAME, METRICS
from inferencegraph.evaluate.metrics.columns import Columns, Whole, columns_of
from inferencegraph.evaluate.metrics.routers import router_metrics
from inferencegraph.evaluate.outcome import Outcome
from inferencegraph.evaluate.statistics import Resampler
from predictors.prices import Price, Prices

PRICES = Prices(
    currency="EUR",
    models={"small": Price(input=1, output=2), "large": Price(input=100, output=200)},
)


def edge(quality: float, seconds: float = 0.1, **fields: Any) -> Outcome:
    given = {"edge_prompt_tokens": 10, "edge_completion_tokens": 5, "request_bytes": 100}
    return Outcome(
        route="edge",
        text="x",
        quality=quality,
        seconds=seconds,
        served_by="small",
        **given | fields,
    )


def cloud(quality: float, seconds: float = 0.4, **fields: Any) -> Outcome:
    given = {"cloud_prompt_tokens": 10, "cloud_completion_tokens": 20, "response_bytes": 300}
    return Outcome(
        route="cloud",
        text="y",
        quality=quality,
        seconds=seconds,
        served_by="large",
        **given | fields,
    )


RUN = [
    edge(1.0, time_to_first_token=0.02, inter_token_latency=0.001),
    edge(0.0, 0.2, time_to_first_token=0.04),
    cloud(1.0),
    cloud(0.5, 0.9),
    Outcome(route="cloud", error="503", status=503, seconds=9.0),
]
CLOUD = [cloud(1.0), cloud(1.0), cloud(1.0), cloud(0.5), cloud(0.5)]


def columns(outcomes: list[Outcome], **whole: float) -> Columns:
    return columns_of(outcomes, whole=Whole(**whole), prices=PRICES)


HAND = {
    "quality": 2.5 / 5,
    "edge_share": 2 / 5,
    "left_edge": 3 / 5,
    "kept": 2.5 / 4.0,
    "latency_p50_seconds": 0.2,
    "latency_p95_seconds": 0.9,
    "mean_first_token_seconds": 0.03,
    "mean_inter_token_seconds": 0.001,
    "tokens_per_second": (5 + 5 + 20 + 20) / 2.0,
    "queries_per_second": 5 / 2.0,
    "edge_prompt_tokens": 20,
    "edge_completion_tokens": 10,
    "cloud_prompt_tokens": 20,
    "cloud_completion_tokens": 40,
    "request_bytes": 200,
    "response_bytes": 600,
    "wan_sent_bytes": 1000,
    "wan_received_bytes": 5000,
    "cost": (2 * (10 * 1 + 5 * 2) + 2 * (10 * 100 + 20 * 200)) / 1e6,
    "joules_per_query": 3.0,
    "failures": 1,
}


@pytest.mark.parametrize("name", HAND)
def test_a_metric_is_what_can_be_computed_by_hand(name: str) -> None:
    run = columns(RUN, wall_seconds=2.0, wan_sent=1000, wan_received=5000, joules=15)
    assert BY_NAME[name].kind.of(run, columns(CLOUD)) == pytest.approx(HAND[name])


def test_what_is_saved_is_of_the_clouds_cost() -> None:
    run, large = columns(RUN[:4]), columns(CLOUD[:4])
    saved = BY_NAME["cost_saved"].kind.of(run, large)
    assert saved == pytest.approx(1 - (2 * 20 + 2 * 5000) / (4 * 5000))


def test_every_figure_lies_in_its_interval() -> None:
    run, large = columns(RUN, wall_seconds=1.0), columns(CLOUD)
    resampler = Resampler(5, 500)
    for metric in METRICS:
        value = metric.kind.of(run, large)
        spread = metric.kind.interval(run, large, resampler, 0.95)
        if value is not None and spread is not None:
            assert spread.low - 1e-9 <= value <= spread.high + 1e-9, metric.name


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_what_nobody_told_is_not_made_up(metric: Any) -> None:
    bare = columns_of([Outcome(route="edge", error="x")] * 3)
    value = metric.kind.of(bare, bare)
    known = {"quality": 0, "edge_share": 1, "left_edge": 0, "failures": 3}
    assert value == known.get(metric.name)


def test_a_failed_question_counts_as_the_worst_answer() -> None:
    graded = columns_of([edge(8.0), Outcome(error="x")], worst=1.0)
    assert graded.quality.tolist() == [8.0, 1.0]


def test_a_side_without_a_price_makes_no_cost() -> None:
    unknown = columns([cloud(1.0), Outcome(route="edge", served_by="other", edge_prompt_tokens=3)])
    assert unknown.cost[0] > 0 and math.isnan(unknown.cost[1])


def test_the_price_files_name_of_a_side_may_be_told() -> None:
    outcome = Outcome(route="edge", served_by="qa-edge", edge_prompt_tokens=1_000_000)
    known = columns_of([outcome], prices=PRICES, models={"edge": "small"})
    assert known.cost.tolist() == [1.0]


def test_names_and_titles_of_ianvs_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert {metric.ianvs for metric in METRICS if metric.ianvs} == {
        "Accuracy",
        "Edge Ratio",
        "Time to First Token",
        "Internal Token Latency",
        "Throughput",
        "Cloud Prompt Tokens",
        "Cloud Completion Tokens",
        "Edge Prompt Tokens",
        "Edge Completion Tokens",
    }


def test_how_well_a_router_tells_hard_from_easy() -> None:
    small, large = np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 1.0])
    scores = [0.1, 0.9, 0.4, 0.6]
    outcomes = [Outcome(route="edge", difficulty=score) for score in scores]
    found = router_metrics(outcomes, 0.5, small, large, 0.0)
    # hard: the second and third; called hard: the second and the fourth
    assert (found["accuracy"], found["precision"], found["recall"], found["f1"]) == (0.5,) * 4
    assert found["auroc"] == 0.75
    assert router_metrics([Outcome(route="edge")] * 4, 0.5, small, large, 0.0) == {}
