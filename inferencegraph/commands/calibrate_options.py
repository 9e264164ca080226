"""Options of `hem calibrate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

LARGEST = 1e15  # of money: more is a mistake, and in the end its squares overflow

Data = Annotated[
    Path,
    typer.Option(
        help="JSONL rows that the router was not trained on: {query} and labels as for "
        "`hem train`; for algorithms that mine the answer edge_mean_logprob and the like, "
        "probabilities, boxes, or edge_answer and samples; for those that decide on its first "
        "tokens edge_prefixes.",
        show_default=False,
    ),
]
Router = Annotated[
    str | None,
    typer.Option(help="A directory that `hem train` wrote; gets the threshold."),
]
Algorithm = Annotated[str | None, typer.Option(help="Instead of --router: e.g. ConfidenceRouter.")]
Parameters = Annotated[
    str,
    typer.Option(help="Of --algorithm, as HEM_PARAMETERS, e.g. '{\"prefix_tokens\": 16}'."),
]
EdgeRatio = Annotated[
    float | None, typer.Option(min=0, max=1, help="Share of queries to keep at the edge.")
]
MaxQualityLoss = Annotated[
    float | None,
    typer.Option(min=0, help="At most this much below cloud-only, e.g. 0.02 of accuracy."),
]
ScoreRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LOW HIGH",
        help="With --max-quality-loss: the lowest and highest score there can be.  [default: 0 1]",
        show_default=False,
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(min=0, max=LARGEST, help="To spend per 1,000 queries at most."),
]
Confidence = Annotated[float, typer.Option(min=0.5, max=0.9999, help="That the promise holds.")]
CloudCost = Annotated[float, typer.Option(min=0, max=LARGEST, help="With --budget: of the cloud.")]
EdgeCost = Annotated[float, typer.Option(min=0, max=LARGEST, help="With --budget: of the edge.")]
CostOf = Literal["query", "token"]
Per = Annotated[
    CostOf,
    typer.Option(help="What both costs are for; token: by the rows' token counts."),
]
Out = Annotated[
    Path | None, typer.Option(help="Write a calibrated copy of the router here instead.")
]
Plot = Annotated[
    Path | None, typer.Option(help="Draw quality against share of cloud calls: a .png or .svg.")
]
