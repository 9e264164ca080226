"""Options of `hem import`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Format = Annotated[
    str,
    typer.Argument(help="One of {inferencegraph.evaluate.importing:FORMATS}.", show_default=False),
]
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Files or folders; gzip too.", show_default=False),
]
Out = Annotated[
    Path, typer.Option(help="Gets the rows, JSONL; .gz packs them.", show_default=False)
]
Edge = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="The model of the source that is the edge's. Of logs, rows of other models than "
        "--edge and --cloud are left out; without both the answers are the cloud's.",
        show_default=False,
    ),
]
Cloud = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help="The same for the cloud.", show_default=False),
]
Option = Annotated[
    list[str] | None,
    typer.Option(
        help="Of the format, name=value, as shots=5 of mmlu; repeatable.", show_default=False
    ),
]
System = Annotated[Literal["keep", "drop"], typer.Option(help="System prompts in `messages`.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Only so many rows, drawn by --seed.", show_default=False),
]
Seed = Annotated[int, typer.Option()]
Dedupe = Annotated[bool, typer.Option("--dedupe", help="Leave out queries that came before.")]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="End at the first record that can't be a row; write none."),
]
Redact = Annotated[
    Literal["drop", "hash", "placeholder"] | None,
    typer.Option(
        help="Private items, as PrivacyGuard finds them, become nothing, a hash that is the "
        "same in all rows, or a placeholder like <EMAIL_1>.",
        show_default=False,
    ),
]
RedactParameters = Annotated[
    str,
    typer.Option(help="Of PrivacyGuard, as in HEM_GUARDS: a JSON object.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite --out.")]
