"""`hem train`."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from transformers_hem.routers.base import Metrics


# All but the first two are about rows that the router was not fitted to.
_SENTENCES = (
    "{hard_share:.1%} of them are hard: the cloud did better.",
    "Mean label: edge {edge_quality:.4g}, cloud {cloud_quality:.4g}.",
    "With the threshold {threshold:.4g} the edge keeps {edge_share:.1%}; mean label "
    "{routed_quality:.4g}.",
    "APGR {apgr:.4g}: so much of the gap between edge and cloud is won back, averaged over all "
    "thresholds; a coin has 0.5.",
    "CPT(50%) {cpt50:.1%}, CPT(80%) {cpt80:.1%}: calls to the cloud that win back 50% and 80% of "
    "the gap.",
    "Of hard and easy queries: AUROC {auroc:.4g}, accuracy {accuracy:.4g}, precision "
    "{precision:.4g}, recall {recall:.4g}, F1 {f1:.4g}.",
    "Calibration error of the scores {ece:.4g}; of the raw ones {ece_before:.4g}.",
    "Eight bits cost {apgr_lost_in_int8:.4g} of the APGR.",
)


def train(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {query, edge_correct, cloud_correct}, "
            "{query, edge_score, cloud_score}, {query, winner} or {query, label}, 1 for hard; or "
            "a CSV table of these.",
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
    prefix_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="CombinedRouter: learn from so many first tokens of each answer of the edge, to "
            "decide on them while it streams; the rows need them: hem label --prefix-tokens.",
            show_default=False,
        ),
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

    parameters = training_parameters(setting or [], encoder)
    console = Console(stderr=True)
    with logged(console), console.status(f"training {algorithm} on {data}"):
        metrics = run(data, algorithm, out, limit, seed, epsilon, parameters, prefix_tokens)
    if as_json:
        print(json.dumps(metrics))
        return
    print(_text(algorithm, out, metrics))


def _text(algorithm: str, out: Path, metrics: "Metrics") -> str:
    """What was learned, in sentences, and the commands that may come next. A learner of one's own
    may have fewer metrics."""
    lines = [f"{algorithm} ({metrics['learner']}) learned from {metrics['rows']} queries: {out}"]
    for sentence in _SENTENCES:
        with suppress(KeyError):
            lines.append(f"  {sentence.format_map(metrics)}")
    return "\n".join(
        [
            *lines,
            "Next, a threshold that promises something, from rows that it was not trained on:",
            f"  hem calibrate --router {out} --data ROWS.jsonl --max-quality-loss 0.02",
            f"Or serve it as it is: HEM_ALGORITHM={algorithm} HEM_ROUTER={out}",
        ]
    )


def training_parameters(settings: Sequence[str], encoder: str | None) -> dict[str, str]:
    """Of --set and --encoder. Raises ConfigurationError."""
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
def logged(console: "Console") -> Iterator[None]:
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
