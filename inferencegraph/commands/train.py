"""`hem train`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {query, edge_correct, cloud_correct}, "
            "{query, edge_score, cloud_score} or {query, winner}.",
            show_default=False,
        ),
    ],
    algorithm: Annotated[str, typer.Option(help="E.g. LinearRouter.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The router's directory.", show_default=False)],
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Train on this many rows, drawn by --seed.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    epsilon: Annotated[
        float, typer.Option(min=0, help="Hard: the edge's label is below the cloud's by more.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Trains a router on queries that both models have answered.

    Example: `hem train --data labels.jsonl --algorithm LinearRouter --out my-router`
    """
    from rich.console import Console

    from transformers_hem.training import train as run

    with Console(stderr=True).status(f"training {algorithm} on {data}"):
        metrics = run(data, algorithm, out, limit, seed, epsilon)
    if as_json:
        print(json.dumps(metrics))
        return
    print(f"{algorithm} written to {out}")
    for name, value in metrics.items():
        print(f"  {name:<20} {value:.4g}" if isinstance(value, float) else f"  {name:<20} {value}")
