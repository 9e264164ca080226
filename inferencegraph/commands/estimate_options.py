"""Options of `hem estimate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Price = tuple[float, float]  # of a million tokens: input, output

Data = Annotated[
    Path,
    typer.Option(
        help="JSONL rows {query or messages, cloud_answer, reference?}, with cloud_model, "
        "cloud_prompt_tokens, cloud_completion_tokens, cloud_cost and cloud_latency as far as "
        "known: what `hem import` writes.",
        show_default=False,
    ),
]
Scorer = Annotated[
    str,
    typer.Option(
        help="One of {transformers_hem.labels.scorers:SCORERS}, with scores from 0 to 1.",
        show_default=False,
    ),
]
Edge = Annotated[
    str | None,
    typer.Option(
        help="The edge: /v2/models/NAME/infer of a predictor, /v1 of an OpenAI-compatible "
        "server, or a graph's URL. Not needed where rows have an edge_answer.",
        show_default=False,
    ),
]
MaxQualityLoss = Annotated[
    float | None,
    typer.Option(help="At most this much below cloud-only, e.g. 0.02.", show_default=False),
]
EdgeRatio = Annotated[
    float | None,
    typer.Option(help="Instead: what is lost with this share at the edge?", show_default=False),
]
Confidence = Annotated[float, typer.Option(min=0.5, max=0.9999, help="That the promise holds.")]
Precision = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Ends when the promised share is so near to the one estimated to be possible "
        "(0.1); with --edge-ratio, when the loss is known to so much on either side (0.02). "
        "Without it, half of the log is enough for a promise, too.",
        show_default=False,
    ),
]
About = Annotated[
    Literal["traffic", "log"] | None,
    typer.Option(
        help="What is promised of: queries like the log's, or the log itself.  "
        "[default: traffic; log with --edge-ratio]",
        show_default=False,
    ),
]
MaxLabels = Annotated[
    int | None,
    typer.Option(min=1, help="Ask the edge for at most so many.", show_default=False),
]
TrainingRows = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Labels to train on: by default a quarter of the log, at most 400.",
        show_default=False,
    ),
]
Algorithm = Annotated[str, typer.Option(help="Trained on them; one that mines the query.")]
Agreement = Annotated[
    bool,
    typer.Option(
        "--agreement",
        help="Compare with the cloud's answers, though rows have references. Without any "
        "reference it is so anyway.",
    ),
]
Option = Annotated[
    list[str] | None,
    typer.Option(help="Of the scorer, name=value; repeatable.", show_default=False),
]
Prices = Annotated[
    Path | None,
    typer.Option(help="A price file of models (docs/gateway.md).", show_default=False),
]
CloudPrice = Annotated[
    Price | None,
    typer.Option(metavar="INPUT OUTPUT", help="Instead: for a million tokens.", show_default=False),
]
EdgePrice = Annotated[
    Price | None,
    typer.Option(metavar="INPUT OUTPUT", help="The same of the edge.", show_default=False),
]
Currency = Annotated[str, typer.Option(help="Of prices on the command line.")]
PerMonth = Annotated[int | None, typer.Option(min=1, help="Queries a month.", show_default=False)]
EdgeModel = Annotated[
    str | None,
    typer.Option(help="The edge's name, for OpenAI's API and prices.", show_default=False),
]
CloudModel = Annotated[
    str | None,
    typer.Option(help="The cloud's name in the prices.", show_default=False),
]
EdgeKeyEnv = Annotated[
    str | None,
    typer.Option(help="Environment variable with the edge's API key.", show_default=False),
]
Out = Annotated[Path, typer.Option(help="A folder: router, rows, estimate.json, estimate.html.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Draw so many rows of the log.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Of the random order.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Questions at a time.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds of one attempt.")]
Attempts = Annotated[
    int, typer.Option(min=1, help="Where trying again can help: unreachable, 502 to 504.")
]
