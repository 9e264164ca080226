"""The router's order of queries, whatever the threshold."""

import numpy as np

from transformers_hem.evaluation.metrics.judged import Judged


def auroc(judged: Judged) -> float:
    """P(a hard query scores above an easy one), ties half; NaN with one class only."""
    from sklearn.metrics import roc_auc_score

    if judged.hard.all() or not judged.hard.any():
        return np.nan
    return float(roc_auc_score(judged.hard, judged.scores))
