"""What out-of-fold scores show of a router: its probabilities, threshold, metrics and spread.

A score is made a probability, so that 0.5 means that half of such queries are hard, by Platt
scaling (Platt 1999) or isotonic regression (Zadrozny and Elkan 2002), whichever has the lower Brier
score in cross-validation. The isotonic one is centred (Oron and Flournoy 2017, arXiv 1701.05964):
each flat stretch becomes one knot at its mean, with a straight line to the next, so that the order
of queries, and with it APGR, stays as it was.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from transformers_hem.arrays import Flags, Floats
from transformers_hem.calibration.config import ProbabilityMap, ScoreSpread
from transformers_hem.calibration.curve import routing_curve
from transformers_hem.evaluation.metrics import ScoredRows, expected_calibration_error, measure
from transformers_hem.evaluation.quality import cheapest_cut, gap_recovered
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Metrics
from transformers_hem.routers.fitting import folds

# The default threshold keeps this share of cloud-only's quality, counted from the lowest label.
KEEP_QUALITY = 0.97
GRID = np.linspace(0, 1, 129)  # knots of a sigmoid; straight lines between are off by at most 1e-4

Fit = Callable[[Floats, Flags], ProbabilityMap | None]


def assess(
    raw: Floats,
    labels: Labels,
    seed: int,
    learner: str,
    *,
    tested: Labels | None = None,
    unrounded: Floats | None = None,
) -> dict[str, Any]:
    """The fields of a `TrainedConfig` for a router that `learner` (in words) made of `labels`.

    `raw`: float [N] in [0, 1] of the rows `tested`, by default all, each scored by a model that
    wasn't fitted to it; `unrounded` the same before the model was rounded to int8. Metrics are of
    the calibrated scores, `ece` of maps that were cross-fitted too.
    """
    tested = tested or labels
    probability, held_out = calibrate_probabilities(raw, tested.hard, seed)
    scores = probability.apply(raw)
    cut = cheapest_cut(scores, tested.edge, tested.cloud, KEEP_QUALITY, tested.low)
    metrics: Metrics = {
        "learner": learner,
        "edge_quality": round(float(tested.edge.mean()), 4),
        "cloud_quality": round(float(tested.cloud.mean()), 4),
        "hard_share": round(float(tested.hard.mean()), 4),
        **measure(ScoredRows(scores, cut.threshold, tested.edge, tested.cloud, tested.hard)),
        "ece": round(expected_calibration_error(held_out, tested.hard), 4),
        "ece_before": round(expected_calibration_error(raw, tested.hard), 4),
    }
    if unrounded is not None:
        # By every threshold: ten bins would hide so small a difference in their noise.
        before, after = (gap_recovered(s, tested.edge, tested.cloud) for s in (unrounded, raw))
        lost = before - after
        metrics["apgr_lost_in_int8"] = round(lost, 4) if np.isfinite(lost) else 0.0
    return {
        "threshold": cut.threshold,
        "probability": probability,
        "scores": ScoreSpread.of(scores),
        "curve": routing_curve(scores, tested, "training", cut.threshold),
        "metrics": metrics,
        "data_sha256": labels.sha256,
        "seed": seed,
        "rows": len(labels.queries),
        "epsilon": labels.epsilon,
    }


def calibrate_probabilities(raw: Floats, hard: Flags, seed: int) -> tuple[ProbabilityMap, Floats]:
    """From raw scores in [0, 1] that training didn't fit, to a map for serving; and probabilities
    float [N], each row by a map that was fitted without it."""
    # The last is for a score that is a probability already: it straightens its log-odds.
    fits: tuple[Fit, ...] = (_isotonic, partial(_platt, of=np.asarray), partial(_platt, of=_odds))
    held_out = {fit: _cross_fitted(fit, raw, hard, seed) for fit in fits}
    brier = {fit: float(np.mean((scores - hard) ** 2)) for fit, scores in held_out.items()}
    for fit in sorted(fits, key=brier.__getitem__):
        fitted = fit(raw, hard)
        if fitted is not None and np.isfinite(brier[fit]):
            return fitted, held_out[fit]
    raise AssertionError("isotonic regression fits any scores")


def _cross_fitted(fit: Fit, raw: Floats, hard: Flags, seed: int) -> Floats:
    """NaN where there is no fit; fitted to the rows themselves where a class has one row only."""
    if min(hard.sum(), (~hard).sum()) < 2:
        fitted = fit(raw, hard)
        return fitted.apply(raw) if fitted else np.full(len(raw), np.nan)
    scores = np.full(len(raw), np.nan)
    for train, test in folds(hard, seed):
        fitted = fit(raw[train], hard[train])
        if fitted is not None:
            scores[test] = fitted.apply(raw[test])
    return scores


def _isotonic(raw: Floats, hard: Flags) -> ProbabilityMap:
    levels = IsotonicRegression().fit_transform(raw, hard.astype(float))
    least = 0.5 / len(raw)  # keeps probabilities off 0 and 1, and leaves room for the two ends
    blocks, which = np.unique(np.clip(levels, least, 1 - least), return_inverse=True)
    centres = np.bincount(which, weights=raw) / np.bincount(which)
    knots, values = [*centres], [*blocks]
    if centres[0] > 0:
        knots, values = [0.0, *knots], [blocks[0] - least / 2, *values]
    if centres[-1] < 1:
        knots, values = [*knots, 1.0], [*values, blocks[-1] + least / 2]
    return _ascending("isotonic", np.array(knots), np.array(values))


def _odds(scores: Floats) -> Floats:
    return np.asarray(logit(np.clip(scores, 1e-6, 1 - 1e-6)))


def _platt(raw: Floats, hard: Flags, of: Callable[[Floats], Floats]) -> ProbabilityMap | None:
    """None where hard queries don't score higher: then no ascending line fits."""
    if hard.all() or not hard.any():
        return None
    model = LogisticRegression(C=1e6).fit(of(raw)[:, None], hard)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return None
    return _ascending("platt", GRID, expit(slope * of(GRID) + intercept))


def _ascending(method: str, knots: Floats, values: Floats) -> ProbabilityMap:
    """Without the knots that rounding has made equal to the one before."""
    rises = (np.diff(values, prepend=-1) > 0) & (np.diff(knots, prepend=-1) > 0)
    return ProbabilityMap.model_validate(
        {
            "method": method,
            "raw": tuple(knots[rises].tolist()),
            "probability": tuple(values[rises].tolist()),
        }
    )
