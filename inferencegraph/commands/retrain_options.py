"""The options of `hem retrain`."""

from pathlib import Path
from typing import Annotated

import typer

Version = Annotated[
    int | None,
    typer.Argument(
        metavar="[VERSION]",
        help="With --rollback: the version to go back to. Default: the one before.",
        show_default=False,
    ),
]
Router = Annotated[
    Path,
    typer.Option(
        envvar="HEM_ROUTER",
        help="The folder of versions, which HEM_ROUTER of the HEM servers names.",
        show_default=False,
    ),
]
Store = Annotated[
    str,
    typer.Option(
        envvar="HEM_FEEDBACK_STORE",
        help="The store of feedback: SQLite's file, or PostgreSQL's URL.",
        show_default=False,
    ),
]
Own = Annotated[
    bool,
    typer.Option(
        "--own", help="Leave out what another client says of an answer than the one who asked."
    ),
]
Data = Annotated[
    list[Path] | None,
    typer.Option(help="Labelled rows as for hem train; repeatable.", show_default=False),
]
Algorithm = Annotated[
    str | None,
    typer.Option(
        help="Default: that of the version in force, LinearRouter for the first.",
        show_default=False,
    ),
]
Encoder = Annotated[str | None, typer.Option(help="Kernel, KNN, BERT: as for hem train.")]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Of the training: as for hem train."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Learn from a subsample of so many rows: the newest half, and a draw of the others. "
        "Default: all of them, and 6000 for a KernelRouter.",
        show_default=False,
    ),
]
MaxQualityLoss = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="What the new version has to promise. Default: what the one in force does, 0.05 of "
        "the first.",
        show_default=False,
    ),
]
EdgeRatio = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Instead: the share at the edge, of all queries that are decided: it takes about 570 "
        "decisions in the store, and no outcomes.",
        show_default=False,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(min=0.5, max=0.9999, help="That the promise holds.", show_default=False),
]
Significance = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=0.5,
        help="How likely a challenger that is only as good may come into force by chance: 0.2 asks "
        "for less proof than the default, 0.1, and learns sooner.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]
Keep = Annotated[int, typer.Option(min=1, help="Versions to keep.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Train and compare, or --check, and switch nothing.")
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="Write the report here, too. It is always in reports/ of the folder.",
        show_default=False,
    ),
]
Add = Annotated[
    str | None,
    typer.Option(
        metavar="ROUTER",
        help="Instead of training: put this router in force, as the next version.",
        show_default=False,
    ),
]
First = Annotated[
    bool, typer.Option("--first", help="With --add: only where there is no version yet.")
]
Rollback = Annotated[
    bool, typer.Option("--rollback", help="Instead: go back to the version before.")
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Instead: does the version in force keep its promise? Goes back where not.",
    ),
]
List = Annotated[bool, typer.Option("--versions", help="Instead: list the versions.")]
