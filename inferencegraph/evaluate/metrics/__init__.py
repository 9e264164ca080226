"""One file per metric; a new one is a file and a line in this table."""

from inferencegraph.evaluate.metrics.accuracy import ACCURACY
from inferencegraph.evaluate.metrics.edge_share import EDGE_SHARE
from inferencegraph.evaluate.metrics.failures import FAILURES
from inferencegraph.evaluate.metrics.kept import KEPT
from inferencegraph.evaluate.metrics.latency import LATENCY_P50, LATENCY_P95
from inferencegraph.evaluate.metrics.metric import Metric

METRICS: tuple[Metric, ...] = (ACCURACY, EDGE_SHARE, KEPT, LATENCY_P50, LATENCY_P95, FAILURES)
