"""Share of questions that mining left at the edge.

It is about the decision: an answer that the edge gave because the cloud was out counts as cloud.
"""

from inferencegraph.evaluate.metrics.metric import Metric, percent
from inferencegraph.evaluate.outcome import Run
from predictors.contract import EDGE


def edge_share(run: Run, cloud: Run) -> float:
    return sum(outcome.route == EDGE for outcome in run) / len(run)


EDGE_SHARE = Metric("edge_share", "at the edge", edge_share, percent)
