"""What other thresholds than the chosen one would give, as a router's config.json keeps it."""

from typing import Final, Literal

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import RoutingCurve
from transformers_hem.evaluation.quality import curve, cuttable, threshold_after
from transformers_hem.labels.labels import Labels

STEPS: Final = 40  # of the share at the edge, about equal ones


def routing_curve(
    scores: Floats, labels: Labels | None, of: Literal["training", "calibration"]
) -> RoutingCurve | None:
    """From `scores` [N] as they are served, infinite where there is none. None where no two
    thresholds would differ on them."""
    ordered = np.sort(scores)
    cuts = np.flatnonzero(cuttable(ordered))
    wanted = np.linspace(0, len(scores), STEPS + 1)
    chosen = np.unique([cuts[np.argmin(np.abs(cuts - each))] for each in wanted if len(cuts)])
    if len(chosen) < 2:
        return None
    quality = None
    if labels is not None:
        measured = curve(scores, labels.edge, labels.cloud)[chosen]
        quality = tuple(np.round(measured, 5).tolist())
    return RoutingCurve(
        of=of,
        rows=len(scores),
        thresholds=tuple(threshold_after(ordered, int(count)) for count in chosen),
        edge_share=tuple(np.round(chosen / len(scores), 5).tolist()),
        quality=quality,
    )
