"""Options of `hem bench`."""

from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import DEFAULT_URL

Url = Annotated[
    list[str] | None,
    typer.Option(
        help="A graph, a predictor's /v2/models/NAME/infer, or OpenAI's API (ends in /v1); "
        f"repeatable: asked in turns and compared. Default: {DEFAULT_URL}.",
        show_default=False,
    ),
]
Rate = Annotated[
    str | None,
    typer.Option(
        metavar="R[,R...]",
        help="Requests a second, at random times (Poisson), whatever comes back.",
        show_default=False,
    ),
]
Concurrency = Annotated[
    str | None,
    typer.Option(
        metavar="N[,N...]",
        help="Callers who wait for each answer; several numbers: one after the other (8).",
        show_default=False,
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Of each URL at each level (10).", show_default=False),
]
Requests = Annotated[
    int | None,
    typer.Option(min=1, help="In place of a duration.", show_default=False),
]
Warmup = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Before each level; doesn't count."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="JSONL rows {query}, {inputs} (V2) or {messages} (chats). Default: shipped questions.",
        show_default=False,
    ),
]
Stream = Annotated[bool, typer.Option("--stream", help="Ask for streams (OpenAI's API).")]
Model = Annotated[
    str | None,
    typer.Option(help="Of OpenAI's API. Default: the first listed.", show_default=False),
]
KeyFile = Annotated[
    str,
    typer.Option(
        help="File with the key of OpenAI URLs; or set OPENAI_API_KEY.", show_default=False
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for one answer.")]
Blocks = Annotated[int, typer.Option(min=2, help="Turns of each of several URLs: A B B A ...")]
Seed = Annotated[int, typer.Option(min=0, help="Of the random times.")]
Hops = Annotated[
    bool,
    typer.Option(
        "--hops",
        help="What mining and each hop of a local `hem up` cost: the same questions (200) at "
        "each of its services, one at a time.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Keeps each request there (requests.jsonl), and summary.json.",
        show_default=False,
    ),
]
