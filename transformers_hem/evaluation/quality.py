"""Quality of routing: what an order of queries by difficulty is worth, and where to cut it."""

from dataclasses import dataclass

import numpy as np

from transformers_hem.arrays import Flags, Floats


@dataclass(frozen=True, slots=True)
class Cut:
    """Routing at one threshold. `quality` is the mean over all queries, as the labels count it."""

    threshold: float
    edge_share: float
    quality: float


def curve(scores: Floats, edge: Floats, cloud: Floats) -> Floats:
    """Mean quality with the 0, 1, ... N easiest queries at the edge: float [N + 1]."""
    gains = (edge - cloud)[np.argsort(scores, kind="stable")]
    return np.asarray((cloud.sum() + np.concatenate([[0.0], np.cumsum(gains)])) / len(scores))


def gap_recovered(scores: Floats, edge: Floats, cloud: Floats) -> float:
    """Average performance gap recovered over all N + 1 cuts; random routing has 0.5, no gap NaN.

    It chooses between candidates, with less noise than RouteLLM's APGR, which has ten bins; the
    metric `apgr` is that one, see `transformers_hem.evaluation.metrics`.
    """
    gap = cloud.mean() - edge.mean()
    return float((curve(scores, edge, cloud).mean() - edge.mean()) / gap) if gap > 0 else np.nan


def cut_at(threshold: float, scores: Floats, edge: Floats, cloud: Floats) -> Cut:
    hard = scores > threshold
    return Cut(threshold, float(1 - hard.mean()), float(np.where(hard, cloud, edge).mean()))


def between(low: float, high: float) -> float:
    """About midway in low <= x < high, in as few digits as that takes, at least four."""
    middle = (low + high) / 2
    rounded = (round(middle, digits) for digits in range(4, 17))
    return next((value for value in rounded if low <= value < high), low)


def cuttable(ordered: Floats) -> Flags:
    """[N + 1]: whether a threshold can leave exactly the first 0, 1, ... N of ascending scores at
    the edge. Equal scores can't be cut apart, nor 0 be hard; infinity stands for no score, which
    is never easy."""
    rises = ordered[:-1] < ordered[1:]
    return np.concatenate([[bool(ordered[0] > 0)], rises, [bool(np.isfinite(ordered[-1]))]])


def threshold_after(ordered: Floats, at_edge: int) -> float:
    """A threshold with that many of ascending scores at the edge, for a count that is cuttable.

    With none or all of them there it is the end of the range, whatever a later score may be.
    """
    if at_edge == 0:
        return 0.0
    if at_edge == len(ordered) or np.isinf(ordered[at_edge]):
        return 1.0
    return between(float(ordered[at_edge - 1]), float(ordered[at_edge]))


def cheapest_cut(scores: Floats, edge: Floats, cloud: Floats, keep: float, low: float = 0.0) -> Cut:
    """The threshold with the largest edge share whose quality is at least `keep` of cloud-only's,
    both counted from `low`, the worst that an answer can be.

    It lies midway between two neighbouring scores, in four digits where those divide them.
    """
    ordered = np.sort(scores)
    quality = curve(scores, edge, cloud)
    good = np.flatnonzero(cuttable(ordered) & (quality - low >= keep * (cloud.mean() - low)))
    at_edge = int(good[-1]) if len(good) else 0
    return cut_at(threshold_after(ordered, at_edge), scores, edge, cloud)
