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
from predictors.digits.workshop.data import SPLIT_SEED, Digits, split
from predictors.digits.workshop.models import (
    Network,
    Weights,
    cloud_right,
    edge_probabilities,
    fit_cloud,
    fit_edge,
    write_cloud,
    write_edge,
)

FOLDER: Final = Path(__file__).parents[1]
# Share of images that stay at the edge. It is decided beforehand, not by what routing then loses:
# a few errors among nine hundred images say little of that (README.md, "The threshold").
EDGE_SHARE: Final = 0.8

Booleans = NDArray[np.bool_]
Doubts = NDArray[np.float64]


def doubt(probabilities: NDArray[np.floating]) -> Doubts:
    """Entropy of each row by the largest that it could have, in [0, 1]: CrossEntropy's score."""
    exact = probabilities.astype(np.float64)
    terms = np.where(exact > 0, exact * np.log(np.where(exact > 0, exact, 1)), 0)
    doubts: Doubts = -terms.sum(axis=1) / np.log(exact.shape[1])
    return doubts


def choose(doubts: Doubts) -> float:
    """The threshold: EDGE_SHARE of the images are no more doubtful than that, and those above it go
    to the cloud."""
    return float(round(np.quantile(doubts, EDGE_SHARE), 4))


def routed(
    doubts: Doubts, threshold: float, edge_right: Booleans, cloud_right: Booleans
) -> tuple[float, float]:
    """Share of right answers, and share of images that stay at the edge."""
    hard = doubts > threshold
    return float(np.where(hard, cloud_right, edge_right).mean()), float((~hard).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A trained pair, and the threshold between them. `held_out`: the edge model's accuracy on the
    training images, each answered by a model that had not seen it."""

    edge: Weights
    cloud: Network
    threshold: float
    held_out: float

    def measured(self, test: Digits) -> dict[str, float]:
        """Shares: right answers of each model and of the pair, and images that stay at the edge."""
        probabilities = edge_probabilities(self.edge, test)
        edge = probabilities.argmax(axis=1) == test.labels
        cloud = cloud_right(self.cloud, test)
        both, share = routed(doubt(probabilities), self.threshold, edge, cloud)
        shares = {"edge": edge.mean(), "cloud": cloud.mean(), "routed": both, "edge_share": share}
        return {name: round(float(value), 4) for name, value in shares.items()}


def fit(train: Digits, seed: int) -> Pair:
    """Models on all of `train`; the threshold by what models of four fifths make of the rest."""
    doubts, right = np.zeros(len(train)), np.zeros(len(train), bool)
    for rest, held_out in train.folds():
        unseen = train.rows(held_out)
        probabilities = edge_probabilities(fit_edge(rest), unseen)
        doubts[held_out] = doubt(probabilities)
        right[held_out] = probabilities.argmax(axis=1) == unseen.labels
    return Pair(fit_edge(train), fit_cloud(train, seed), choose(doubts), float(right.mean()))


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


def main(
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
    for number in track(range(splits), console=Console(stderr=True), description="splits"):
        train, test = split(number)
        pair = fit(train, seed)
        print(json.dumps({"split": number, "threshold": pair.threshold, **pair.measured(test)}))


if __name__ == "__main__":
    typer.run(main)
