"""APGR and CPT by RouteLLM's definition, to be compared with published figures.

Performance gap recovered (PGR) at a share of cloud calls c: (q(c) - q(edge)) / (q(cloud) -
q(edge)), arXiv 2406.18665, section 2.3. As in RouteLLM's evaluation, q is measured at eleven
thresholds, the bounds of ten equally full bins of scores, joined by straight lines.
`transformers_hem.evaluation.quality.gap_recovered` takes every threshold instead: it varies less
and chooses models, but is a little higher on curved lines and is not the published number.
"""

from dataclasses import dataclass

import numpy as np

from transformers_hem.evaluation.metrics.judged import Floats, Judged

THRESHOLDS = 10


@dataclass(frozen=True, slots=True)
class Curve:
    """Quality over the share of cloud calls, both float [11], by ascending share from 0 to 1."""

    shares: Floats
    quality: Floats


def quantile_curve(judged: Judged) -> Curve:
    """Measured where RouteLLM does: from the threshold up is cloud, but at the last one, edge."""
    thresholds = np.quantile(judged.scores, np.linspace(0, 1, THRESHOLDS + 1))
    cloud = judged.scores >= thresholds[:, None]
    cloud[-1] = judged.scores > thresholds[-1]
    quality = np.where(cloud, judged.cloud, judged.edge).mean(axis=1)
    return Curve(cloud.mean(axis=1)[::-1], quality[::-1])


def apgr(judged: Judged) -> float:
    """Area under PGR over the share of cloud calls; a coin has 0.5. NaN where the cloud is not
    better than the edge: there is no gap to recover."""
    edge, cloud = judged.edge.mean(), judged.cloud.mean()
    if cloud <= edge:
        return np.nan
    curve = quantile_curve(judged)
    return float((np.trapezoid(curve.quality, curve.shares) - edge) / (cloud - edge))


def cpt(judged: Judged, level: float) -> float:
    """Call-performance threshold: the least share of cloud calls with a PGR of `level`.

    RouteLLM prints it in percent. Where the curve falls in between, this is its first crossing,
    the paper's minimum. NaN without a gap.
    """
    edge, cloud = judged.edge.mean(), judged.cloud.mean()
    if cloud <= edge:
        return np.nan
    curve = quantile_curve(judged)
    wanted = edge + level * (cloud - edge)
    # Rounding must not push a crossing at the last point, whose PGR is 1, out of the curve.
    after = int(np.argmax(curve.quality >= wanted - 1e-12))
    if after == 0:
        return float(curve.shares[0])
    ends = slice(after - 1, after + 1)
    return float(np.interp(wanted, curve.quality[ends], curve.shares[ends]))


def cpt50(judged: Judged) -> float:
    return cpt(judged, 0.5)


def cpt80(judged: Judged) -> float:
    return cpt(judged, 0.8)
