"""How many questions got an error instead of an answer."""

from inferencegraph.evaluate.metrics.metric import Metric
from inferencegraph.evaluate.outcome import Run


def failures(run: Run, cloud: Run) -> float:
    return sum(outcome.error is not None for outcome in run)


FAILURES = Metric("failures", "failed", failures, "{:.0f}".format)
