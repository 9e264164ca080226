"""What can be said of a walk, and of the labels that it was made with."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.labelling import Labelled
from inferencegraph.evaluate.estimating.log import LoggedRow
from inferencegraph.evaluate.estimating.result import CurvePoint, Estimate, Quality
from inferencegraph.evaluate.estimating.walk import LossWalk, ShareWalk
from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.arrays import Floats
from transformers_hem.calibration.betting import ConfidenceSequence, Interval

_CURVE_POINTS: Final = 12
_LEAST_ROWS: Final = 20  # of a point of the curve


def router_scores(router: Algorithm, rows: Sequence[LoggedRow]) -> Floats:
    """[N]; infinite where there is none: such a query is never easy."""
    scores = score_rows(router, [{"query": row.question.query} for row in rows])
    return np.where(np.isnan(scores), np.inf, scores)


def with_walk(found: Estimate, walk: LossWalk | ShareWalk) -> Estimate:
    """With what the walk can promise, or how much more it would take."""
    threshold = walk.threshold
    if threshold is None:
        rows = walk.rows_missing() if isinstance(walk, LossWalk) else None
        if rows is None:
            return found
        labelled = walk.labels / max(walk.position, 1)
        left = len(walk.scores) - walk.position
        return replace(
            found,
            missing=max(int(np.ceil(rows * labelled)), 1),
            missing_rows=rows - left if rows > left else None,
        )
    share = walk.share(threshold)
    found = replace(
        found,
        threshold=threshold,
        edge_share=share,
        share_interval=share_interval(share, len(walk.scores), found.aim),
        loss=walk.loss_at(threshold, found.aim).mean,
    )
    if isinstance(walk, ShareWalk):
        return replace(found, loss_interval=walk.loss)
    return replace(found, best_share=walk.best_share, possible_share=walk.possible_share)


def share_interval(share: float, rows: int, aim: Aim) -> Interval:
    """Of traffic, at a threshold that was chosen on these rows: Dvoretzky, Kiefer and Wolfowitz'
    inequality with Massart's constant (1990, doi:10.1214/aop/1176990746) is about all thresholds at
    once. Of the log the share is known."""
    if aim.about == "log":
        return Interval(share, share)
    off = float(np.sqrt(np.log(2 / (1 - aim.confidence)) / (2 * rows)))
    return Interval(max(share - off, 0.0), min(share + off, 1.0))


def quality(learned: Sequence[Labelled], confidence: float) -> Quality:
    def of(values: list[float]) -> tuple[float, Interval]:
        return float(np.mean(values)), ConfidenceSequence(1 - confidence).update(values)

    edge, cloud = of([each.pair.edge for each in learned]), of([e.pair.cloud for e in learned])
    return Quality(*edge, *cloud)


def curve(walk: LossWalk | ShareWalk, aim: Aim) -> list[CurvePoint]:
    """At thresholds with evenly spaced shares at the edge; only what has rows to tell of."""
    known = np.sort(walk.scores[np.isfinite(walk.scores)])
    places = np.linspace(0, len(known) - 1, min(_CURVE_POINTS, len(known))).astype(int)
    points = []
    for threshold in np.unique(known[places]):
        at = walk.loss_at(float(threshold), aim)
        if at.rows >= _LEAST_ROWS:
            points.append(
                CurvePoint(float(threshold), walk.share(float(threshold)), at.mean, at.interval)
            )
    return points


def require_both_kinds(learned: Sequence[Labelled], aim: Aim) -> None:
    """A router needs queries that the edge loses, and others: raises ConfigurationError that says
    what that means."""
    lost = sum(each.loss > 0 for each in learned)
    if min(lost, len(learned) - lost) >= 2:
        return
    losses = np.array([each.loss for each in learned])
    low, high = ConfidenceSequence(1 - aim.confidence, -1.0, 1.0).update(losses)
    failed = sum(each.failure is not None for each in learned)
    failures = f" ({failed} of them failed: {_reason(learned)})" if failed else ""
    raise ConfigurationError(
        f"the cloud did better on {lost} of {len(learned)} queries{failures}: there is nothing for "
        f"a router to tell apart. The edge alone loses between {low:.3f} and {high:.3f} with "
        f"confidence {aim.confidence:g}; --training-rows more would say it more exactly"
    )


def _reason(learned: Sequence[Labelled]) -> str:
    return next(each.failure for each in learned if each.failure is not None)
