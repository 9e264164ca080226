"""Makes scores probabilities: 0.5 then means that half of such queries are hard.

Platt scaling (Platt 1999) or isotonic regression (Zadrozny and Elkan 2002), whichever has the
lower Brier score in cross-validation. The isotonic one is centred (Oron and Flournoy 2017,
arXiv 1701.05964): each flat stretch becomes one knot at its mean, with a straight line to the
next, so that the order of queries, and with it APGR, stays as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from transformers_hem.arrays import Flags, Floats
from transformers_hem.calibration.config import ProbabilityMap
from transformers_hem.routers.fitting import folds

Fit = Callable[[Floats, Flags], ProbabilityMap | None]

GRID = np.linspace(0, 1, 129)  # knots of a sigmoid; straight lines between are off by at most 1e-4


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`held_out`: float [N], each row by a map that was fitted without it."""

    map: ProbabilityMap
    held_out: Floats


def calibrate_probabilities(raw: Floats, hard: Flags, seed: int) -> Calibrated:
    """From raw scores in [0, 1] that training didn't fit, to a map for serving."""
    fits: tuple[Fit, ...] = (_isotonic, _platt, _platt_of_odds)
    held_out = {fit: _cross_fitted(fit, raw, hard, seed) for fit in fits}
    brier = {fit: float(np.mean((scores - hard) ** 2)) for fit, scores in held_out.items()}
    for fit in sorted(fits, key=brier.__getitem__):
        fitted = fit(raw, hard)
        if fitted is not None and np.isfinite(brier[fit]):
            return Calibrated(fitted, held_out[fit])
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


def _platt(raw: Floats, hard: Flags) -> ProbabilityMap | None:
    return _sigmoid(raw, hard, lambda scores: scores)


def _platt_of_odds(raw: Floats, hard: Flags) -> ProbabilityMap | None:
    """Of a score that is a probability already: straightens its log-odds."""
    return _sigmoid(raw, hard, lambda scores: logit(np.clip(scores, 1e-6, 1 - 1e-6)))


def _sigmoid(raw: Floats, hard: Flags, of: Callable[[Floats], Floats]) -> ProbabilityMap | None:
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
