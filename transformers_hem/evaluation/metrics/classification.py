"""The router as a classifier of hard and easy queries, at its threshold; hard is the positive."""

import numpy as np

from transformers_hem.evaluation.metrics.judged import Judged


def accuracy(judged: Judged) -> float:
    return float(np.mean(judged.called_hard == judged.hard))


def precision(judged: Judged) -> float:
    """Of the queries called hard, the share that is; NaN where none is called so."""
    called = judged.called_hard
    return float(judged.hard[called].mean()) if called.any() else np.nan


def recall(judged: Judged) -> float:
    """Of the hard queries, the share called so; NaN where none is hard."""
    return float(judged.called_hard[judged.hard].mean()) if judged.hard.any() else np.nan


def f1(judged: Judged) -> float:
    """2 TP / (2 TP + FP + FN); NaN where nothing is hard or called so."""
    either = int(judged.called_hard.sum()) + int(judged.hard.sum())
    both = int((judged.called_hard & judged.hard).sum())
    return 2 * both / either if either else np.nan
