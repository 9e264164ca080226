"""Seconds from a question to its answer, as the client sees it; failures are left out."""

from functools import partial
from statistics import quantiles

from inferencegraph.evaluate.metrics.metric import Metric
from inferencegraph.evaluate.outcome import Run


def percentile(rank: int, run: Run, cloud: Run) -> float | None:
    """`rank` from 1 to 99, linear between neighbours; undefined where nothing was answered."""
    seconds = [outcome.seconds for outcome in run if outcome.error is None]
    if len(seconds) < 2:
        return seconds[0] if seconds else None
    return quantiles(seconds, n=100, method="inclusive")[rank - 1]


def milliseconds(value: float) -> str:
    return f"{1000 * value:.0f}ms"


LATENCY_P50 = Metric("latency_p50_seconds", "p50", partial(percentile, 50), milliseconds)
LATENCY_P95 = Metric("latency_p95_seconds", "p95", partial(percentile, 95), milliseconds)
