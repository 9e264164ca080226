"""`hem calibrate`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from inferencegraph.commands import calibrate_options as given
from inferencegraph.commands.options import AsJson
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.algorithms.base import Algorithm
    from transformers_hem.calibration.config import Calibration
    from transformers_hem.calibration.sample import Sample
    from transformers_hem.calibration.targets import Target


def calibrate(
    data: given.Data,
    router: given.Router = None,
    algorithm: given.Algorithm = None,
    parameters: given.Parameters = "",
    edge_ratio: given.EdgeRatio = None,
    max_quality_loss: given.MaxQualityLoss = None,
    score_range: given.ScoreRange = None,
    budget: given.Budget = None,
    confidence: given.Confidence = 0.9,
    cloud_cost: given.CloudCost = 1.0,
    edge_cost: given.EdgeCost = 0.0,
    per: given.Per = "query",
    out: given.Out = None,
    plot: given.Plot = None,
    as_json: AsJson = False,
) -> None:
    """Chooses the threshold and says what it promises, on how many rows; refuses where they are
    too few.

    Example: `hem calibrate --router my-router --data held-out.jsonl --max-quality-loss 0.02`
    """
    from transformers_hem.calibration.calibrate import calibrate as choose
    from transformers_hem.calibration.sample import read_sample
    from transformers_hem.evaluation.curve_plot import plot_sample

    target = _target(edge_ratio, max_quality_loss, score_range, budget, cloud_cost, edge_cost, per)
    _require_writable(router, out, plot)
    mining = _open(router, algorithm, parameters)
    sample = read_sample(data, mining)
    calibration = choose(mining, sample, target, confidence)
    if plot is not None:
        plot_sample(sample, calibration.threshold, Path(router or algorithm or "").name, plot)
    if router is not None:
        out = _written(router, calibration, sample, out)
    print(calibration.model_dump_json() if as_json else _text(calibration, out, parameters))


def _target(
    edge_ratio: float | None,
    max_quality_loss: float | None,
    score_range: tuple[float, float] | None,
    budget: float | None,
    cloud_cost: float,
    edge_cost: float,
    per: given.CostOf,
) -> "Target":
    from transformers_hem.calibration.targets import (
        Budget,
        EdgeRatio,
        MaxQualityLoss,
    )

    if sum(value is not None for value in (edge_ratio, max_quality_loss, budget)) != 1:
        raise ConfigurationError("give one of --edge-ratio, --max-quality-loss and --budget")
    if edge_ratio is not None:
        return EdgeRatio(edge_ratio)
    if max_quality_loss is not None:
        return MaxQualityLoss(max_quality_loss, score_range)
    return Budget(budget or 0.0, cloud_cost, edge_cost, per)


def _require_writable(router: str | None, out: Path | None, plot: Path | None) -> None:
    """Before all that takes long. Raises ConfigurationError."""
    from transformers_hem.calibration.calibrate import require_writable
    from transformers_hem.evaluation.curve_plot import require_plot

    if router is not None:
        require_writable(router, out)
    elif out is not None:
        raise ConfigurationError("--out is for a copy of --router; an --algorithm has no directory")
    if plot is not None:
        require_plot(plot)


def _open(router: str | None, name: str | None, parameters: str) -> "Algorithm":
    from transformers_hem.routers.scoring import open_router
    from transformers_hem.serving.settings import HEMSettings, build_decider

    if (router is None) == (name is None):
        raise ConfigurationError("give one of --router and --algorithm")
    if router is not None:
        return open_router(router)
    settings = HEMSettings.model_construct(algorithm=name, parameters=parameters)
    return build_decider(settings).algorithm


def _written(router: str, calibration: "Calibration", sample: "Sample", out: Path | None) -> Path:
    """The directory with the threshold: the router's own, or its copy."""
    from transformers_hem.calibration.calibrate import write_calibration
    from transformers_hem.calibration.config import ScoreSpread
    from transformers_hem.calibration.curve import routing_curve

    spread = ScoreSpread.of(sample.scores[sample.scores <= 1])
    curve = routing_curve(sample.scores, sample.labels, "calibration", calibration.threshold)
    return write_calibration(router, calibration, spread, out, curve)


def _text(calibration: "Calibration", out: Path | None, parameters: str) -> str:
    """The promise, and where the threshold is or how it is set."""
    told = f"threshold {calibration.threshold:g}: {calibration.promise}"
    if out:
        return f"{told}\nwritten to {out}"
    before = f"HEM_PARAMETERS={shlex.quote(parameters)} " if parameters else ""
    return f"{told}\nset {before}HEM_THRESHOLD={calibration.threshold:g}"
