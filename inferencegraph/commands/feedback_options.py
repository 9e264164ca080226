"""Options of `hem feedback`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Url = Annotated[str, typer.Option(help="The HEM server, or its gateway.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds the key to call it with.", show_default=False),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        help="Instead of a server: a store's file, or PostgreSQL's URL.",
        show_default=False,
    ),
]

# Of `hem feedback send`.
RequestId = Annotated[
    str | None,
    typer.Argument(help="Of the answer: its x-request-id, or id.", show_default=False),
]
Thumbs = Annotated[Literal["up", "down"] | None, typer.Option(show_default=False)]
Rating = Annotated[
    float | None, typer.Option(help="From 1 to 5, unless --scale.", show_default=False)
]
Scale = Annotated[
    tuple[float, float] | None,
    typer.Option(metavar="LOW HIGH", help="Of --rating.", show_default=False),
]
Correct = Annotated[bool | None, typer.Option("--correct/--wrong", show_default=False)]
Answer = Annotated[
    str | None, typer.Option(help="The right answer, where it was wrong.", show_default=False)
]
Preferred = Annotated[
    Literal["edge", "cloud", "tie"] | None,
    typer.Option(help="The side whose answer is better.", show_default=False),
]
Key = Annotated[
    str | None,
    typer.Option(help="Makes it one, however often it is sent.", show_default=False),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="JSONL rows {request_id, key, at, client or client_hash}, and thumbs, rating, "
        "correct, answer or preferred.",
        show_default=False,
    ),
]
Client = Annotated[
    str | None,
    typer.Option(
        help="Who says it, where that is not you: a name, as in HEM_CLIENT_HEADER. An admin "
        "may. Of --data: of rows that name nobody.",
        show_default=False,
    ),
]
Queue = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Where the server can't be reached, or fails: keep it there, for --data later.",
        show_default=False,
    ),
]
