"""What `hem evaluate` computes of a run. A new metric is a function here and a line in METRICS."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import quantiles
from typing import Final

from inferencegraph.evaluate.outcome import Run
from predictors.contract import EDGE


@dataclass(frozen=True, slots=True)
class Metric:
    """`compute(run, cloud)`: one number about `run`, where `cloud` is the same questions all
    answered by the cloud model; None where it is not defined. `show` writes it for people."""

    name: str
    title: str
    compute: Callable[[Run, Run], float | None]
    show: Callable[[float], str]


def accuracy(run: Run, cloud: Run) -> float:
    """Share of questions answered right; one that failed counts as wrong."""
    return sum(outcome.right for outcome in run) / len(run)


def edge_share(run: Run, cloud: Run) -> float:
    """Share of questions that mining left at the edge.

    It is about the decision: one that the cloud failed to answer counts as cloud.
    """
    return sum(outcome.route == EDGE for outcome in run) / len(run)


def kept(run: Run, cloud: Run) -> float | None:
    """Share of the cloud model's accuracy that is kept; undefined where the cloud is never
    right."""
    reference = accuracy(cloud, cloud)
    return accuracy(run, cloud) / reference if reference else None


def percentile(rank: int, run: Run, cloud: Run) -> float | None:
    """Seconds from a question to its answer, as the client sees it; failures are left out.

    `rank` from 1 to 99, linear between neighbours; undefined where nothing was answered.
    """
    seconds = [outcome.seconds for outcome in run if outcome.error is None]
    if len(seconds) < 2:
        return seconds[0] if seconds else None
    return quantiles(seconds, n=100, method="inclusive")[rank - 1]


def failures(run: Run, cloud: Run) -> float:
    """How many questions got an error, or the edge's answer because the cloud had failed."""
    return sum(outcome.error is not None for outcome in run)


def _milliseconds(value: float) -> str:
    return f"{1000 * value:.0f}ms"


_PERCENT: Final = "{:.1%}".format
METRICS: Final = (
    Metric("accuracy", "accuracy", accuracy, _PERCENT),
    Metric("edge_share", "at the edge", edge_share, _PERCENT),
    Metric("cloud_accuracy_kept", "kept", kept, _PERCENT),
    Metric("latency_p50_seconds", "p50", partial(percentile, 50), _milliseconds),
    Metric("latency_p95_seconds", "p95", partial(percentile, 95), _milliseconds),
    Metric("failures", "failed", failures, "{:.0f}".format),
)
