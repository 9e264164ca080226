"""Metrics of routers. A new one is a function, here or in a file of its own, and a line in METRICS.

APGR and CPT are by RouteLLM's definition, to be compared with published figures. Performance gap
recovered (PGR) at a share of cloud calls c: (q(c) - q(edge)) / (q(cloud) - q(edge)), arXiv
2406.18665, section 2.3. As in RouteLLM's evaluation, q is measured at eleven thresholds, the bounds
of ten equally full bins of scores, joined by straight lines.
`transformers_hem.evaluation.quality.gap_recovered` takes every threshold instead: it varies less
and chooses models, but is a little higher on curved lines and is not the published number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from transformers_hem.arrays import Flags, Floats

THRESHOLDS = 10
BINS = 15


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores of a router, float [N] in [0, 1], beside how both models did, float [N].

    `hard` is what a router looks for: [N], true where the cloud does better than the edge.
    """

    scores: Floats
    threshold: float
    edge: Floats
    cloud: Floats
    hard: Flags

    @property
    def called_hard(self) -> Flags:
        """What the router sends to the cloud at its threshold."""
        return self.scores > self.threshold


def recovered_curve(rows: ScoredRows) -> tuple[Floats, Floats]:
    """Shares of cloud calls, ascending from 0 to 1, and PGR at each, both float [11].

    Measured where RouteLLM does: a score at the threshold is cloud, but at the last one, edge. PGR
    is NaN where the cloud is not better than the edge: there is no gap to recover.
    """
    thresholds = np.quantile(rows.scores, np.linspace(0, 1, THRESHOLDS + 1))
    cloud = rows.scores >= thresholds[:, None]
    cloud[-1] = rows.scores > thresholds[-1]
    quality = np.where(cloud, rows.cloud, rows.edge).mean(axis=1)[::-1]
    gap = rows.cloud.mean() - rows.edge.mean()
    return cloud.mean(axis=1)[::-1], (quality - rows.edge.mean()) / (gap if gap > 0 else np.nan)


def apgr(rows: ScoredRows) -> float:
    """Area under PGR over the share of cloud calls; random routing has 0.5. NaN without a gap."""
    shares, recovered = recovered_curve(rows)
    return float(np.trapezoid(recovered, shares))


def cpt(rows: ScoredRows, level: float) -> float:
    """Call-performance threshold: the least share of cloud calls with a PGR of `level`.

    RouteLLM prints it in percent. Where the curve falls in between, this is its first crossing,
    the paper's minimum. NaN without a gap.
    """
    shares, recovered = recovered_curve(rows)
    # Rounding must not push a crossing at the last point, whose PGR is 1, out of the curve.
    after = int(np.argmax(recovered >= level - 1e-12))
    if after == 0:  # at once, or never for want of a gap
        return float(shares[0] + recovered[0])
    ends = slice(after - 1, after + 1)
    return float(np.interp(level, recovered[ends], shares[ends]))


cpt50 = partial(cpt, level=0.5)
cpt80 = partial(cpt, level=0.8)


def auroc(rows: ScoredRows) -> float:
    """P(a hard query scores above an easy one), ties half; NaN with one class only."""
    from sklearn.metrics import roc_auc_score

    if rows.hard.all() or not rows.hard.any():
        return np.nan
    return float(roc_auc_score(rows.hard, rows.scores))


def expected_calibration_error(scores: Floats, hard: Flags) -> float:
    """Whether a score of 0.3 means that three in ten are hard: the mean distance between score and
    share of hard rows, over 15 bins of equal width, weighted by their rows; Guo et al. 2017 (arXiv
    1706.04599, equation 3)."""
    bins = np.clip(np.ceil(scores * BINS).astype(int) - 1, 0, BINS - 1)
    total = np.bincount(bins, weights=scores - hard, minlength=BINS)
    return float(np.abs(total).sum() / len(scores))


# The router as a classifier of hard and easy queries, at its threshold; hard is the positive.


def accuracy(rows: ScoredRows) -> float:
    return float(np.mean(rows.called_hard == rows.hard))


def precision(rows: ScoredRows) -> float:
    """Of the queries called hard, the share that is hard; NaN where none is called hard."""
    called = rows.called_hard
    return float(rows.hard[called].mean()) if called.any() else np.nan


def recall(rows: ScoredRows) -> float:
    """Of the hard queries, the share that is called hard; NaN where none is hard."""
    return float(rows.called_hard[rows.hard].mean()) if rows.hard.any() else np.nan


def f1(rows: ScoredRows) -> float:
    """2 TP / (2 TP + FP + FN); NaN where nothing is hard or called hard."""
    either = int(rows.called_hard.sum()) + int(rows.hard.sum())
    both = int((rows.called_hard & rows.hard).sum())
    return 2 * both / either if either else np.nan


def routed_quality(rows: ScoredRows) -> float:
    """Mean over all queries of what routing at the threshold gives, in the labels' units."""
    return float(np.where(rows.called_hard, rows.cloud, rows.edge).mean())


def edge_share(rows: ScoredRows) -> float:
    return float(1 - rows.called_hard.mean())


METRICS: dict[str, Callable[[ScoredRows], float]] = {
    "apgr": apgr,
    "cpt50": cpt50,
    "cpt80": cpt80,
    "auroc": auroc,
    "ece": lambda rows: expected_calibration_error(rows.scores, rows.hard),
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "routed_quality": routed_quality,
    "edge_share": edge_share,
}


def measure(rows: ScoredRows) -> dict[str, float]:
    """Every metric that is defined on these rows, to four digits."""
    values = {name: metric(rows) for name, metric in METRICS.items()}
    return {name: round(value, 4) for name, value in values.items() if np.isfinite(value)}
