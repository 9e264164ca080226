"""Share of questions answered right; one that failed counts as wrong."""

from inferencegraph.evaluate.metrics.metric import Metric, percent
from inferencegraph.evaluate.outcome import Run


def accuracy(run: Run, cloud: Run) -> float:
    return sum(outcome.right for outcome in run) / len(run)


ACCURACY = Metric("accuracy", "accuracy", accuracy, percent)
