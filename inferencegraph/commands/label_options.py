"""Options of `hem label`."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Option(
        help="JSONL rows {id?, query, reference}; edge_answer and cloud_answer, where a row "
        "has them, are not asked for.",
        show_default=False,
    ),
]
Scorer = Annotated[
    str,
    typer.Option(
        help="One of {transformers_hem.labels.scorers:SCORERS}.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option(help="Gets the labels, JSONL.", show_default=False)]
Edge = Annotated[str | None, typer.Option(help="Edge's /v2/models/NAME/infer.", show_default=False)]
Cloud = Annotated[
    str | None, typer.Option(help="Cloud's /v2/models/NAME/infer.", show_default=False)
]
Url = Annotated[str | None, typer.Option(help="Instead of both: a graph.", show_default=False)]
Option = Annotated[
    list[str] | None,
    typer.Option(help="Of the scorer, name=value; repeatable.", show_default=False),
]
Epsilon = Annotated[
    float, typer.Option(min=0, help="Hard: the edge's score is below the cloud's by more.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Questions at a time.")]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1, help="Only so many rows: the first, or with --seed drawn.", show_default=False
    ),
]
PrefixTokens = Annotated[
    str | None,
    typer.Option(
        help="Also store how sure the edge was of the first tokens of its answer, for each of "
        "these numbers of them, as 8,16,32: for rules that decide while it streams. Asks "
        "--edge for chats.",
        show_default=False,
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds of one attempt.")]
Attempts = Annotated[
    int, typer.Option(min=1, help="Where trying again can help: unreachable, 502 to 504.")
]
Mixinstruct = Annotated[
    bool,
    typer.Option(
        "--from-mixinstruct",
        help="Asks nothing: --edge and --cloud are models of MixInstruct's rows in --data, "
        "--scorer one of their scores, or comparison.",
    ),
]
