"""`hem score`."""

from pathlib import Path
from typing import Annotated

import typer


def score(
    router: Annotated[
        str, typer.Option(help="A directory that `hem train` wrote.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {id, query}; for a router that mines the answer with "
            "edge_mean_logprob and the like, or edge_prefixes.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Gets JSONL rows {id, score}.", show_default=False)],
) -> None:
    """Writes the difficulty of each query, from 0 (easy) to 1 (hard).

    Example: `hem score --router my-router --data queries.jsonl --out scores.jsonl`
    """
    from rich.console import Console

    from transformers_hem.routers.scoring import score_file

    with Console(stderr=True).status(f"scoring {data}"):
        count = score_file(router, data, out)
    print(f"{count} scores written to {out}")
