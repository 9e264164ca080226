"""`hem train`."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {query, edge_correct, cloud_correct}, "
            "{query, edge_score, cloud_score} or {query, winner}.",
            show_default=False,
        ),
    ],
    algorithm: Annotated[
        str,
        typer.Option(
            help="One of {transformers_hem.routers.training:LEARNERS}.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The router's directory.", show_default=False)],
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Train on this many rows, drawn by --seed.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    epsilon: Annotated[
        float, typer.Option(min=0, help="Hard: the edge's label is below the cloud's by more.")
    ] = 0.0,
    encoder: Annotated[
        str | None,
        typer.Option(help="Kernel, KNN, BERT, LLM: model to start from, a directory or hub id."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Kernel, KNN, BERT, LLM: format=safetensors, onnx or int8; max_tokens=256; "
            "BERT, LLM: epochs=3, learning_rate=5e-5, head_learning_rate=1e-3, batch_size=16, "
            "patience=4, objective=difference or hard, held_out=0.1; "
            "Kernel: landmarks=3000, components=256, gamma=2, c=1. Repeat for several.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Trains a router on queries that both models have answered.

    Example: `hem train --data labels.jsonl --algorithm LinearRouter --out my-router`

    Example: `hem train --data labels.jsonl --algorithm KernelRouter --encoder my-minilm
    --set format=int8 --out my-router`
    """
    from rich.console import Console

    from transformers_hem.routers.training import train as run

    parameters = _parameters(setting or [], encoder)
    console = Console(stderr=True)
    with _logged(console), console.status(f"training {algorithm} on {data}"):
        metrics = run(data, algorithm, out, limit, seed, epsilon, parameters)
    if as_json:
        print(json.dumps(metrics))
        return
    print(f"{algorithm} written to {out}")
    for name, value in metrics.items():
        print(f"  {name:<20} {value:.4g}" if isinstance(value, float) else f"  {name:<20} {value}")


def _parameters(settings: Sequence[str], encoder: str | None) -> dict[str, str]:
    parameters = {} if encoder is None else {"encoder": encoder}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not equals:
            raise ConfigurationError(f"--set {setting!r} must be NAME=VALUE")
        if name in parameters:
            raise ConfigurationError(f"set twice: {name}")
        parameters[name] = value
    return parameters


@contextmanager
def _logged(console: "Console") -> Iterator[None]:
    """Shows what training logs, above the spinner."""
    from rich.logging import RichHandler

    logger = logging.getLogger("kserve.hem.training")
    handler = RichHandler(console=console, show_path=False, show_level=False)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
