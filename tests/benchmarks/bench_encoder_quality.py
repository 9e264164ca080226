"""How well EnsembleRouter and the BERTRouter in it route real traffic, in int8, beside R.

    pytest tests/benchmarks/bench_encoder_quality.py -m benchmark -s

It fine-tunes an encoder for every split: two hours or more on one core. With HEM_TRIALS=DIR the
scores of a split are kept there, and taken from there by the next run of the same code.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.bench_routing_quality import FEW, OURS, R, report
from tests.benchmarks.routing_trials import (
    FOLDS,
    Floats,
    Rows,
    Trial,
    draw,
    folds,
    linear,
    reference,
)
from tests.encoder_routers import minilm as minilm
from tests.encoder_routers import open_trained
from transformers_hem.algorithms.base import Batch
from transformers_hem.encoder_router import BERT, LINEAR, EnsembleConfig, read_encoder_config
from transformers_hem.training.ensemble import EnsembleLearner, EnsembleTraining
from transformers_hem.training.rows import Labels, read_labels

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(6 * 3600)]

BOTH, ENCODER = "EnsembleRouter", "BERTRouter"
FEW_DRAWS = range(4)
EPOCHS = {"mmlu": 1.0, "gsm8k": 3.0, "few": 3.0}
RATE = {"mmlu": 1e-4, "gsm8k": 5e-5, "few": 5e-5}
HELD_OUT = {"mmlu": 0.1, "gsm8k": 0.05, "few": 0.05}

Scores = dict[str, Floats]


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers") / "router"


def mixtral(shared: Path, name: str) -> Labels:
    return read_labels(shared / "data" / f"{name}_mixtral_gpt4.jsonl.gz")


def learned(labels: Labels, split: tuple[Rows, Rows], kind: str, encoder: Path, to: Path) -> Scores:
    """Of the rows that the routers were not trained on, by each router as HEM serves it; the
    encoder runs once for both that have it."""
    train, test = split
    chosen = EnsembleTraining(
        encoder=str(encoder),
        format="int8",
        epochs=EPOCHS[kind],
        learning_rate=RATE[kind],
        held_out=HELD_OUT[kind],
    )
    EnsembleLearner(chosen).train(labels.subset(train), to, seed=0)
    batch = Batch(len(test), texts=tuple(labels.queries[i] for i in test))
    bert, beside = (open_trained(to / member).raw(batch) for member in (BERT, LINEAR))
    return {
        BOTH: read_encoder_config(to, EnsembleConfig, BOTH).blend(beside, bert),
        ENCODER: bert,
        OURS: linear(labels, train, test, to.with_name("linear")),
        R: reference(labels, train, test),
    }


def kept(name: str, make: Callable[[], Scores]) -> Scores:
    room = os.environ.get("HEM_TRIALS")
    if room is None:
        return make()
    path = Path(room) / f"{name}.npz"
    if not path.exists():
        scores = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **scores)
    with np.load(path) as found:
        return dict(found)


@pytest.mark.parametrize("seed", FEW_DRAWS)
def test_a_draw_of_few_labels(shared: Path, minilm: Path, aside: Path, seed: int) -> None:
    labels = mixtral(shared, "mmlu")
    split = draw(labels, FEW, seed)
    scores = kept(f"few-{seed}", lambda: learned(labels, split, "few", minilm, aside))
    drawn.append([Trial(split[1], scores)])
    report(f"MMLU, 1,530 labels, draw {seed}", drawn[-1:], labels, BOTH)


def test_few_labels(shared: Path) -> None:
    labels = mixtral(shared, "mmlu")
    report("MMLU, 1,530 labels", drawn, labels, ENCODER)
    assert report("MMLU, 1,530 labels", drawn, labels, BOTH) >= 0.04
    report("MMLU, 1,530 labels", drawn, labels, BOTH, OURS)


@pytest.mark.parametrize("kind", ["gsm8k", "mmlu"])
@pytest.mark.parametrize("fold", range(FOLDS))
def test_a_fold(shared: Path, minilm: Path, aside: Path, kind: str, fold: int) -> None:
    labels = mixtral(shared, kind)
    split = list(folds(labels, 0))[fold]
    scores = kept(f"{kind}-{fold}", lambda: learned(labels, split, kind, minilm, aside))
    folded[kind].append(Trial(split[1], scores))
    report(f"{kind}, fold {fold}", [folded[kind][-1:]], labels, BOTH)


@pytest.mark.parametrize(("kind", "least"), [("gsm8k", None), ("mmlu", 0.06)])
def test_all_labels(shared: Path, kind: str, least: float | None) -> None:
    labels = mixtral(shared, kind)
    report(f"{kind}, all labels", [folded[kind]], labels, ENCODER)
    gain = report(f"{kind}, all labels", [folded[kind]], labels, BOTH)
    report(f"{kind}, all labels", [folded[kind]], labels, BOTH, OURS)
    assert least is None or gain >= least


drawn: list[list[Trial]] = []
folded: dict[str, list[Trial]] = {"gsm8k": [], "mmlu": []}
