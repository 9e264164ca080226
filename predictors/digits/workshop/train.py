"""Trains and ships the pair: `python -m predictors.digits.workshop.train --help`.

Test images are looked at once, after all choices are made, to write down how good the pair is.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from predictors.digits import FILES
from predictors.digits.workshop import (
    cloud,
    edge,
    threshold,
)
from predictors.digits.workshop.data import (
    SPLIT_SEED,
    Digits,
    split,
)
from predictors.digits.workshop.network import (
    Weights,
    write_cloud,
    write_edge,
)

FOLDER: Final = Path(__file__).parents[1]

console = Console(stderr=True)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A trained pair, and the threshold between them. `held_out`: the edge model's accuracy on the
    training images, each answered by a model that had not seen it."""

    edge: Weights
    cloud: cloud.Network
    threshold: float
    held_out: float

    def measured(self, test: Digits) -> dict[str, float]:
        found = edge_probabilities(self.edge, test)
        right = found.argmax(axis=1) == test.labels
        return _figures(
            threshold.doubt(found), self.threshold, right, cloud.right(self.cloud, test)
        )


def fit(train: Digits, seed: int) -> Pair:
    """Models on all of `train`; the threshold by what models of four fifths make of the rest."""
    doubts, right = np.zeros(len(train)), np.zeros(len(train), bool)
    for rest, held_out in train.folds():
        unseen = train.rows(held_out)
        found = edge_probabilities(edge.fit(rest), unseen)
        doubts[held_out] = threshold.doubt(found)
        right[held_out] = found.argmax(axis=1) == unseen.labels
    return Pair(
        edge.fit(train), cloud.fit(train, seed), threshold.choose(doubts), float(right.mean())
    )


def edge_probabilities(weights: Weights, digits: Digits) -> NDArray[np.float64]:
    logits = edge.flat(digits) @ weights["weight"] + weights["bias"]
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = grown / grown.sum(axis=1, keepdims=True)
    return found


def ship(pair: Pair, train: Digits, test: Digits, seed: int, out: Path) -> dict[str, Any]:
    """Writes the ONNX files, and how they came about."""
    write_edge(out / FILES["edge"].relative_to(FOLDER), pair.edge)
    write_cloud(out / FILES["cloud"].relative_to(FOLDER), pair.cloud.weights())
    report = {
        "seed": seed,
        "split_seed": SPLIT_SEED,
        "threshold": pair.threshold,
        "training_images": len(train),
        "test_images": len(test),
        "edge_held_out_of_training": round(pair.held_out, 4),
        "test": pair.measured(test),
        "test_indices": test.indices.tolist(),
    }
    (out / "training.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    return report


def _figures(
    doubts: threshold.Doubts,
    chosen: float,
    edge_right: threshold.Booleans,
    cloud_right: threshold.Booleans,
) -> dict[str, float]:
    accuracy, share = threshold.routed(doubts, chosen, edge_right, cloud_right)
    shown = {
        "edge": edge_right.mean(),
        "cloud": cloud_right.mean(),
        "routed": accuracy,
        "edge_share": share,
    }
    return {name: round(float(value), 4) for name, value in shown.items()}


def _main(
    out: Annotated[Path, typer.Option(help="Folder for the models.")] = FOLDER,
    seed: Annotated[int, typer.Option(help="Of the cloud's first weights and batches.")] = 1,
    splits: Annotated[
        int, typer.Option(min=0, help="Instead of shipping: that many other splits, measured.")
    ] = 0,
) -> None:
    """Some 15 seconds on an idle core.

    Example: python -m predictors.digits.workshop.train --splits 20
    """
    torch.set_num_threads(1)  # so small a network waits for its threads longer than it computes
    if not splits:
        train, test = split()
        report = ship(fit(train, seed), train, test, seed, out)
        print(json.dumps({**report, "test_indices": len(report["test_indices"])}))
        return
    for number in track(range(splits), console=console, description="splits"):
        train, test = split(number)
        pair = fit(train, seed)
        print(json.dumps({"split": number, "threshold": pair.threshold, **pair.measured(test)}))


if __name__ == "__main__":
    typer.run(_main)
