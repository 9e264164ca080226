"""Whether a score of 0.3 means that three in ten are hard."""

import numpy as np

from transformers_hem.evaluation.metrics.judged import (
    Flags,
    Floats,
    Judged,
)

BINS = 15


def expected_calibration_error(scores: Floats, hard: Flags) -> float:
    """Mean distance between score and share of hard rows, over 15 bins of equal width, weighted
    by their rows; Guo et al. 2017 (arXiv 1706.04599, equation 3)."""
    bins = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    total = np.bincount(bins, weights=scores - hard, minlength=BINS)
    return float(np.abs(total).sum() / len(scores))


def ece(judged: Judged) -> float:
    return expected_calibration_error(judged.scores, judged.hard)
