"""The threshold in force, and what others would give by what the router's config.json says."""

import shlex
from typing import Any

from transformers_hem import embedded
from transformers_hem.routers.directory import place_of
from transformers_hem.serving.decision import Decider
from transformers_hem.versions.told import CHECKED, RETRAINED, told

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
        "version": _version(decider),
    }


def _version(decider: Decider) -> dict[str, Any] | None:
    """Of the router, where that is a folder of versions, and what was told of the last retraining
    and the last check."""
    if decider.router is None or decider.router_version is None:
        return None
    folder = place_of(decider.router)
    retrained, checked = told(folder, RETRAINED), told(folder, CHECKED)
    return {
        "number": decider.router_version,
        "retrained": {name: retrained.get(name) for name in ("at", "promoted", "why")},
        "checked": {name: checked.get(name) for name in ("at", "sentence")},
    }


def _command(decider: Decider) -> str:
    """Calibrates on rows of the reader's own; a router that ships can't be written into."""
    router = decider.router
    if router is not None and decider.router_version is not None:
        return f"hem retrain --router {shlex.quote(router)} --data LABELS.jsonl"
    if router is None:
        return f"hem calibrate --algorithm {shlex.quote(decider.name)} {DATA}"
    out = " --out my-router" if embedded.is_shipped(router) else ""
    return f"hem calibrate --router {shlex.quote(router)} {DATA}{out}"
