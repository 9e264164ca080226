"""What comes of routing at the threshold."""

import numpy as np

from transformers_hem.evaluation.metrics.judged import Judged


def edge_share(judged: Judged) -> float:
    return float(1 - judged.called_hard.mean())


def routed_quality(judged: Judged) -> float:
    """Mean over all queries, as the labels count it."""
    return float(np.where(judged.called_hard, judged.cloud, judged.edge).mean())
