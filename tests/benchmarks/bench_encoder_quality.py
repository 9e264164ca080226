"""How well KernelRouter routes real traffic, in int8, on the same folds as R and LinearRouter.

    pytest tests/benchmarks/bench_encoder_quality.py -m benchmark -s    (half an hour)

The encoder is not trained, so that it reads each row once for all splits.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.bench_routing_quality import FEW, OURS, R, report
from tests.benchmarks.routing_trials import (
    Floats,
    Split,
    Trial,
    draw,
    folds,
    joined,
    linear,
    mean,
    reference,
)
from tests.transformers_hem.encoder_routers import minilm as minilm, open_trained
from transformers_hem.algorithms.base import Batch
from transformers_hem.labels.labels import Labels, read_labels
from transformers_hem.routers.encoder.training import Format
from transformers_hem.routers.kernel.learner import (
    KernelLearner,
    KernelTraining,
    layer_features_of,
    learn,
)
from transformers_hem.routers.kernel.score import Values

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(2 * 3600)]

BEST, FLOAT32, BOTH = "KernelRouter", "KernelRouter in float32", "one for both"
KINDS = ("mmlu", "gsm8k")
FEW_DRAWS = range(8)
SEEDS = {"mmlu": range(2), "gsm8k": range(5)}

Read = Callable[[str, Format], Values]


@pytest.fixture(scope="module")
def rows(shared: Path) -> dict[str, Labels]:
    files = {kind: shared / "data" / f"{kind}_mixtral_gpt4.jsonl.gz" for kind in KINDS}
    return {kind: read_labels(path) for kind, path in files.items()}


@pytest.fixture(scope="module")
def chosen(minilm: Path) -> KernelTraining:
    return KernelTraining(encoder=str(minilm), format="int8")


@pytest.fixture(scope="module")
def read(
    rows: dict[str, Labels], chosen: KernelTraining, tmp_path_factory: pytest.TempPathFactory
) -> Read:
    """What the encoder reads in all rows of a kind."""
    known: dict[tuple[str, Format], Values] = {}

    def reading(kind: str, form: Format) -> Values:
        if (kind, form) not in known:
            to = tmp_path_factory.mktemp("encoders") / "encoder"
            known[kind, form] = layer_features_of(chosen, rows[kind], to, form)
        return known[kind, form]

    return reading


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers") / "router"


def kernel(features: Values, labels: Labels, split: Split, chosen: KernelTraining) -> Floats:
    train, test = split
    learned, _ = learn(features[train], labels.subset(train), chosen, seed=0)
    return learned.difficulty(features[test])


def test_a_split_is_what_hem_train_and_the_transformer_make_of_it(
    rows: dict[str, Labels], chosen: KernelTraining, read: Read, aside: Path
) -> None:
    labels = rows["gsm8k"]
    train, test = next(iter(folds(labels, 0)))
    KernelLearner(chosen).train(labels.subset(train), aside, seed=0)
    batch = Batch(len(test), texts=tuple(labels.queries[i] for i in test))
    expected = kernel(read("gsm8k", "int8"), labels, (train, test), chosen)
    assert open_trained(aside).raw(batch) == pytest.approx(expected, abs=1e-5)


def test_few_labels(
    rows: dict[str, Labels], chosen: KernelTraining, read: Read, aside: Path
) -> None:
    labels, features = rows["mmlu"], read("mmlu", "int8")
    groups = []
    for seed in FEW_DRAWS:
        split = draw(labels, FEW, seed)
        scores = {
            BEST: kernel(features, labels, split, chosen),
            OURS: linear(labels, *split, aside),
            R: reference(labels, *split),
        }
        groups.append([Trial(split[1], scores)])
    assert report("MMLU, 1,530 labels", groups, labels, BEST) >= 0.04
    report("MMLU, 1,530 labels", groups, labels, BEST, OURS)


@pytest.mark.parametrize("kind", KINDS)
def test_all_labels(
    rows: dict[str, Labels], chosen: KernelTraining, read: Read, aside: Path, kind: str
) -> None:
    labels = rows[kind]
    groups = []
    for seed in SEEDS[kind]:
        trials = []
        for split in folds(labels, seed):
            scores = {
                BEST: kernel(read(kind, "int8"), labels, split, chosen),
                OURS: linear(labels, *split, aside),
                R: reference(labels, *split),
            }
            trials.append(Trial(split[1], scores))
        groups.append(trials)
    report(f"{kind}, all labels", groups, labels, BEST)
    report(f"{kind}, all labels", groups, labels, BEST, OURS)


def test_what_eight_bits_and_one_router_for_both_cost(
    rows: dict[str, Labels], chosen: KernelTraining, read: Read
) -> None:
    """Both kinds are split alike, so that one router for both is tested on the same folds."""
    first, second = (rows[kind] for kind in KINDS)
    every, start = joined(first, second), len(first.queries)
    features = np.concatenate([read(kind, "int8") for kind in KINDS])
    trials: dict[str, list[Trial]] = {kind: [] for kind in KINDS}
    for splits in zip(folds(first, 0), folds(second, 0), strict=True):
        train, test = (np.concatenate([a, b + start]) for a, b in zip(*splits, strict=True))
        both = np.split(kernel(features, every, (train, test), chosen), [len(splits[0][1])])
        for kind, split, scores in zip(KINDS, splits, both, strict=True):
            own = {
                BEST: kernel(read(kind, "int8"), rows[kind], split, chosen),
                FLOAT32: kernel(read(kind, "onnx"), rows[kind], split, chosen),
                BOTH: scores,
            }
            trials[kind].append(Trial(split[1], own))
    for kind in KINDS:
        assert report(f"{kind}, all labels", [trials[kind]], rows[kind], BOTH, BEST) >= -0.03
    lost = {
        kind: mean(trials[kind], FLOAT32, rows[kind]) - mean(trials[kind], BEST, rows[kind])
        for kind in KINDS
    }
    print(f"\n{json.dumps({'benchmark': 'apgr lost in int8', **lost})}")
    assert lost["mmlu"] <= 0.005
