"""`hem leaderboard`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import AsJson


def leaderboard(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Folders of hem evaluate, or one with many of them. Default: results.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Benchmarks that were run, side by side: a table for each set of questions, as only systems
    that answered the same ones can be compared.

    Example: `hem leaderboard results`
    """
    from rich.console import Console

    from inferencegraph.evaluate.store import board, entries, read_results

    found = entries(read_results(paths or []))
    if as_json:
        print(json.dumps(found))
        return
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    for table in board(found):
        console.print(table)
    console.print(
        "attested: that the router learned from other questions is said by who made it; "
        "checked: its training rows were compared",
        style="dim",
    )
