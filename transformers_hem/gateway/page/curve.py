"""The threshold in force, and what others would give by what the router's config.json says."""

import shlex
from typing import Any

from transformers_hem import embedded
from transformers_hem.serving.decision import Decider, Unscored
from transformers_hem.serving.promised import promised_by

DATA = "--data LABELS.jsonl --edge-ratio 0.6"


def about_threshold(decider: Decider) -> dict[str, Any]:
    """`curve` is None where nothing was measured; `run` is the command that mends it, and that of a
    threshold without a promise. What is promised stands in state.json."""
    calibrated = decider.algorithm.calibrated
    curve = calibrated.curve if calibrated else None
    promised = promised_by(decider)
    has_threshold = not (decider.algorithm.fixed_route or gets_all(decider))
    return {
        "algorithm": decider.name,
        "router": decider.router,
        "fixed": decider.algorithm.fixed_route,
        "strategy": gets_all(decider),
        "threshold": decider.threshold,
        "curve": curve.model_dump() if curve else None,
        "run": _command(decider) if has_threshold and not promised else None,
    }


def gets_all(decider: Decider) -> str | None:
    """The strategy that has no algorithm beside it, and so no threshold; None: there is one."""
    return decider.strategy_name if isinstance(decider.algorithm, Unscored) else None


def _command(decider: Decider) -> str:
    """Calibrates on rows of the reader's own; a router that ships can't be written into."""
    router = decider.router
    if router is not None and decider.router_version is not None:
        return f"hem retrain --router {shlex.quote(router)} --data LABELS.jsonl"
    if router is None:
        return f"hem calibrate --algorithm {shlex.quote(decider.name)} {DATA}"
    out = " --out my-router" if embedded.is_shipped(router) else ""
    return f"hem calibrate --router {shlex.quote(router)} {DATA}{out}"
