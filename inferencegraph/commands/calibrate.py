"""`hem calibrate`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inferencegraph.commands.options import AsJson
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.algorithms.base import Algorithm
    from transformers_hem.calibration.targets import Target

LARGEST = 1e15  # of money: more is a mistake, and in the end its squares overflow


def calibrate(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows that the router was not trained on: {query} and labels as for "
            "`hem train`; for algorithms that mine the answer edge_mean_logprob and the like, "
            "probabilities, boxes, or edge_answer and samples; for those that decide on its first "
            "tokens edge_prefixes.",
            show_default=False,
        ),
    ],
    router: Annotated[
        str | None,
        typer.Option(help="A directory that `hem train` wrote; gets the threshold."),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="Instead of --router: e.g. ConfidenceRouter.")
    ] = None,
    parameters: Annotated[
        str,
        typer.Option(help="Of --algorithm, as HEM_PARAMETERS, e.g. '{\"prefix_tokens\": 16}'."),
    ] = "",
    edge_ratio: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of queries to keep at the edge.")
    ] = None,
    max_quality_loss: Annotated[
        float | None,
        typer.Option(min=0, help="At most this much below cloud-only, e.g. 0.02 of accuracy."),
    ] = None,
    score_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="With --max-quality-loss: the lowest and highest score there can be.  "
            "[default: 0 1]",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0, max=LARGEST, help="To spend per 1,000 queries at most."),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="That the promise holds.")
    ] = 0.9,
    cloud_cost: Annotated[
        float, typer.Option(min=0, max=LARGEST, help="With --budget: of the cloud.")
    ] = 1.0,
    edge_cost: Annotated[
        float, typer.Option(min=0, max=LARGEST, help="With --budget: of the edge.")
    ] = 0.0,
    per: Annotated[
        Literal["query", "token"],
        typer.Option(help="What both costs are for; token: by the rows' token counts."),
    ] = "query",
    out: Annotated[
        Path | None, typer.Option(help="Write a calibrated copy of the router here instead.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw quality against share of cloud calls: a .png or .svg.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Chooses the threshold and says what it promises, on how many rows; refuses where they are
    too few.

    Example: `hem calibrate --router my-router --data held-out.jsonl --max-quality-loss 0.02`
    """
    from transformers_hem.calibration.calibrate import (
        calibrate as choose,
        require_writable,
        write_calibration,
    )
    from transformers_hem.calibration.config import ScoreSpread
    from transformers_hem.calibration.curve import routing_curve
    from transformers_hem.calibration.sample import read_sample
    from transformers_hem.evaluation.curve_plot import plot_sample, require_plot

    target = _target(edge_ratio, max_quality_loss, score_range, budget, cloud_cost, edge_cost, per)
    if router is not None:
        require_writable(router, out)
    elif out is not None:
        raise ConfigurationError("--out is for a copy of --router; an --algorithm has no directory")
    if plot is not None:
        require_plot(plot)
    mining = _open(router, algorithm, parameters)
    sample = read_sample(data, mining)
    calibration = choose(mining, sample, target, confidence)
    if plot is not None:
        plot_sample(sample, calibration.threshold, Path(router or algorithm or "").name, plot)
    if router is not None:
        spread = ScoreSpread.of(sample.scores[sample.scores <= 1])
        curve = routing_curve(sample.scores, sample.labels, "calibration", calibration.threshold)
        out = write_calibration(router, calibration, spread, out, curve)
    if as_json:
        print(calibration.model_dump_json())
        return
    print(f"threshold {calibration.threshold:g}: {calibration.promise}")
    given = f"HEM_PARAMETERS={shlex.quote(parameters)} " if parameters else ""
    print(f"written to {out}" if out else f"set {given}HEM_THRESHOLD={calibration.threshold:g}")


def _target(
    edge_ratio: float | None,
    max_quality_loss: float | None,
    score_range: tuple[float, float] | None,
    budget: float | None,
    cloud_cost: float,
    edge_cost: float,
    per: Literal["query", "token"],
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


def _open(router: str | None, name: str | None, parameters: str) -> "Algorithm":
    from transformers_hem.routers.scoring import open_router
    from transformers_hem.serving.settings import HEMSettings, build_decider

    if (router is None) == (name is None):
        raise ConfigurationError("give one of --router and --algorithm")
    if router is not None:
        return open_router(router)
    settings = HEMSettings.model_construct(algorithm=name, parameters=parameters)
    return build_decider(settings).algorithm
