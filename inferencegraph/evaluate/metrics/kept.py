"""Share of the cloud model's accuracy that is kept; undefined where the cloud is never right."""

from inferencegraph.evaluate.metrics.accuracy import accuracy
from inferencegraph.evaluate.metrics.metric import Metric, percent
from inferencegraph.evaluate.outcome import Run


def kept(run: Run, cloud: Run) -> float | None:
    reference = accuracy(cloud, cloud)
    return accuracy(run, cloud) / reference if reference else None


KEPT = Metric("cloud_accuracy_kept", "kept", kept, percent)
