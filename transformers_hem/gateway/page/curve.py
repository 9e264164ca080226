"""The threshold in force, and what others would give by what the router's config.json says."""

import shlex
from typing import Any

from transformers_hem import embedded
from transformers_hem.serving.decision import Decider

DATA = "--data LABELS.jsonl --edge-ratio 0.6"


def about_threshold(decider: Decider) -> dict[str, Any]:
    """`curve` is None where nothing was measured, and `promise` where nothing is promised; `run` is
    the command that mends it."""
    calibrated = decider.algorithm.calibrated
    curve = calibrated.curve if calibrated else None
    calibration = calibrated.calibration if calibrated else None
    # A threshold that was set by hand is another one than the promise's.
    promised = calibration is not None and calibration.threshold == decider.threshold
    return {
        "algorithm": decider.name,
        "router": decider.router,
        "fixed": decider.algorithm.fixed_route,
        "threshold": decider.threshold,
        "curve": curve.model_dump() if curve else None,
        "promise": calibration.promise if calibration and promised else None,
        "run": None if promised or decider.algorithm.fixed_route else _command(decider),
    }


def _command(decider: Decider) -> str:
    """Calibrates on rows of the reader's own; a router that ships can't be written into."""
    router = decider.router
    if router is None:
        return f"hem calibrate --algorithm {shlex.quote(decider.name)} {DATA}"
    out = " --out my-router" if embedded.is_shipped(router) else ""
    return f"hem calibrate --router {shlex.quote(router)} {DATA}{out}"
