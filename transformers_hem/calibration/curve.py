"""What other thresholds than the chosen one would give, as a router's config.json keeps it."""

from typing import Final, Literal

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import RoutingCurve
from transformers_hem.evaluation.quality import curve, cuttable, threshold_after
from transformers_hem.labels.labels import Labels

STEPS: Final = 40  # of the share at the edge, about equal ones


def routing_curve(
    scores: Floats,
    labels: Labels | None,
    of: Literal["training", "calibration"],
    threshold: float,
) -> RoutingCurve | None:
    """From `scores` [N] as they are served, infinite where there is none; `threshold`, the chosen
    one, is among those of the curve. None where no two thresholds would differ on them."""
    ordered = np.sort(scores)
    cuts = np.flatnonzero(cuttable(ordered))
    wanted = np.linspace(0, len(scores), STEPS + 1)
    chosen = {int(cuts[np.argmin(np.abs(cuts - each))]) for each in wanted if len(cuts)}
    if len(chosen) < 2:
        return None
    thresholds = {count: threshold_after(ordered, count) for count in chosen}
    thresholds[int(np.searchsorted(ordered, threshold, side="right"))] = threshold
    counts = sorted(thresholds)
    quality = None
    if labels is not None:
        measured = curve(scores, labels.edge, labels.cloud)[counts]
        quality = tuple(np.round(measured, 5).tolist())
    return RoutingCurve(
        of=of,
        rows=len(scores),
        thresholds=tuple(thresholds[count] for count in counts),
        edge_share=tuple(round(count / len(scores), 5) for count in counts),
        quality=quality,
    )
