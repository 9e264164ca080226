"""What is measured of a run: one table, for `hem evaluate` and its reports. A new metric is a
function of the columns and a line of the table below.

columns.py   a run's outcomes as arrays
kinds.py     means, totals, quantiles, shares of the cloud's, and their intervals
routers.py   how well a router tells hard from easy: `transformers_hem.evaluation`
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np

from inferencegraph.evaluate.metrics.columns import Columns
from inferencegraph.evaluate.metrics.kinds import Kind, Mean, OfClouds, Once, Quantile, Total
from transformers_hem.arrays import Floats

Better = Literal["high", "low"] | None


@dataclass(frozen=True, slots=True)
class Metric:
    """`show` writes a value for people; `ianvs` is the name that Ianvs's users know it by."""

    name: str
    title: str
    kind: Kind
    show: Callable[[float], str]
    better: Better = None
    ianvs: str | None = None


def _throughput(run: Columns) -> float | None:
    """Completion tokens of both sides for each second of wall time."""
    tokens = run.all_tokens("completion")
    if run.wall_seconds is None or np.isnan(tokens).all():
        return None
    return float(np.nansum(tokens) / run.wall_seconds)


def _queries_per_second(run: Columns) -> float | None:
    return run.size / run.wall_seconds if run.wall_seconds else None


def _joules_per_query(run: Columns) -> float | None:
    return None if run.joules is None else run.joules / run.size


def _tokens(name: str, run: Columns) -> Floats:
    return run.tokens[name]


def percent(value: float) -> str:
    return f"{value:.1%}"


def duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def count(value: float) -> str:
    return f"{value:,.0f}"


def rate(value: float) -> str:
    return f"{value:,.1f}"


def amount(value: float) -> str:
    """Money: as many digits as a small amount needs."""
    return f"{value:,.2f}" if value >= 1 or value == 0 else f"{value:.4g}"


def quality(value: float) -> str:
    return f"{value:.3f}"


def _times(name: str, title: str, values: Callable[[Columns], Floats]) -> list[Metric]:
    return [
        Metric(
            f"{name}_p{100 * share:.0f}_seconds",
            f"{title} p{100 * share:.0f}",
            Quantile(values, share),
            duration,
            "low",
        )
        for share in (0.5, 0.95, 0.99)
    ]


METRICS: Final = (
    Metric("quality", "quality", Mean(lambda run: run.quality), quality, "high", "Accuracy"),
    Metric(
        "edge_share",
        "at the edge",
        Mean(lambda run: run.at_edge.astype(np.float64)),
        percent,
        None,
        "Edge Ratio",
    ),
    Metric("kept", "kept", OfClouds(lambda run: run.quality - run.worst), percent, "high"),
    Metric("left_edge", "left the edge", Mean(lambda run: run.left.astype(np.float64)), percent),
    *_times("latency", "latency", lambda run: run.seconds),
    *_times("first_token", "first token", lambda run: run.first_token),
    *_times("inter_token", "token", lambda run: run.inter_token),
    Metric(
        "mean_first_token_seconds",
        "first token",
        Mean(lambda run: run.first_token),
        duration,
        "low",
        "Time to First Token",
    ),
    Metric(
        "mean_inter_token_seconds",
        "token",
        Mean(lambda run: run.inter_token),
        duration,
        "low",
        "Internal Token Latency",
    ),
    Metric("tokens_per_second", "tokens/s", Once(_throughput), rate, "high", "Throughput"),
    Metric("queries_per_second", "queries/s", Once(_queries_per_second), rate, "high"),
    *(
        Metric(
            f"{side}_{kind}_tokens",
            f"{side} {kind} tokens",
            Total(partial(_tokens, f"{side}_{kind}_tokens")),
            count,
            "low",
            f"{side} {kind} tokens".title(),
        )
        for side in ("cloud", "edge")
        for kind in ("prompt", "completion")
    ),
    Metric("request_bytes", "sent", Total(lambda run: run.request_bytes), count),
    Metric("response_bytes", "received", Total(lambda run: run.response_bytes), count),
    Metric("wan_sent_bytes", "WAN sent", Once(lambda run: run.wan_sent), count, "low"),
    Metric("wan_received_bytes", "WAN received", Once(lambda run: run.wan_received), count, "low"),
    Metric("cost", "cost", Total(lambda run: run.cost), amount, "low"),
    Metric("cost_saved", "cost saved", OfClouds(lambda run: run.cost, saved=True), percent, "high"),
    Metric("joules_per_query", "J/query", Once(_joules_per_query), rate, "low"),
    Metric("failures", "failed", Total(lambda run: run.failed.astype(np.float64)), count, "low"),
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
