"""How well LinearRouter routes real traffic, on the same folds as a reference router R.

pytest tests/benchmarks/bench_routing_quality.py -m benchmark -s    (some 10 minutes)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.routing_trials import (
    Rows,
    Trial,
    draw,
    folds,
    interval,
    joined,
    linear,
    mean,
    reference,
)
from transformers_hem.evaluation.metrics import cpt50, cpt80
from transformers_hem.labels.labels import Labels, read_labels

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

FEW = 1530  # labels, as many as RouteLLM's augmented MMLU routers had
DRAWS = range(8)
SEEDS = range(2)
GSM8K_SEEDS = range(5)  # of few rows: more seeds cost little and steady the mean
R, OURS, BOTH = "R", "LinearRouter", "one for both"


@dataclass(frozen=True)
class Traffic:
    mmlu: Labels
    gsm8k: Labels


@pytest.fixture(scope="module")
def traffic(shared: Path) -> Traffic:
    read = (read_labels(shared / "data" / f"{n}_mixtral_gpt4.jsonl.gz") for n in ("mmlu", "gsm8k"))
    return Traffic(*read)


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers") / "router"


def report(
    title: str, groups: Sequence[list[Trial]], labels: Labels, ours: str = OURS, theirs: str = R
) -> float:
    """Prints a row; returns the mean difference. A group is what one seed, or draw, gave."""
    trials = [trial for group in groups for trial in group]
    difference, low, high = interval(trials, ours, theirs, labels)
    row = {
        "benchmark": "routing quality",
        "traffic": title,
        "router": ours,
        "against": theirs,
        "apgr": round(mean(trials, ours, labels), 4),
        "apgr_spread": round(float(np.std([mean(group, ours, labels) for group in groups])), 4),
        "apgr_against": round(mean(trials, theirs, labels), 4),
        "cpt50": round(mean(trials, ours, labels, cpt50), 4),
        "cpt80": round(mean(trials, ours, labels, cpt80), 4),
        "difference": round(difference, 4),
        "interval": [round(low, 4), round(high, 4)],
    }
    print(f"\n{json.dumps(row)}")
    print(
        f"| {title} | {ours} {row['apgr']:.3f} ± {row['apgr_spread']:.3f} | {theirs} "
        f"{row['apgr_against']:.3f} | {difference:+.3f} [{low:+.3f}, {high:+.3f}] "
        f"| {row['cpt50']:.1%} / {row['cpt80']:.1%} |"
    )
    return difference


def test_few_labels(traffic: Traffic, aside: Path) -> None:
    labels = traffic.mmlu
    groups = []
    for seed in DRAWS:
        train, test = draw(labels, FEW, seed)
        scores = {OURS: linear(labels, train, test, aside), R: reference(labels, train, test)}
        groups.append([Trial(test, scores)])
    assert report("MMLU, 1,530 labels", groups, labels) >= 0.01


def test_all_labels_alone_and_one_router_for_both(traffic: Traffic, aside: Path) -> None:
    """Both kinds are split alike, so that one router for both is tested on the same folds."""
    alone: dict[str, list[list[Trial]]] = {"MMLU": [], "GSM8K": []}
    for seed in SEEDS:
        for name, trials in one_seed(traffic, seed, aside).items():
            alone[name].append(trials)
    kinds = {"MMLU": traffic.mmlu, "GSM8K": traffic.gsm8k}
    gains = {n: report(f"{n}, all labels", alone[n], kinds[n]) for n in kinds}
    losses = {n: report(f"{n}, all labels", alone[n], kinds[n], BOTH, OURS) for n in kinds}
    assert gains["MMLU"] >= 0.01
    assert min(losses.values()) >= -0.03


def one_seed(traffic: Traffic, seed: int, aside: Path) -> dict[str, list[Trial]]:
    mmlu, gsm8k = traffic.mmlu, traffic.gsm8k
    every = joined(mmlu, gsm8k)
    start = len(mmlu.queries)
    found: dict[str, list[Trial]] = {"MMLU": [], "GSM8K": []}
    for first, second in zip(folds(mmlu, seed), folds(gsm8k, seed), strict=True):
        train, test = (np.concatenate([a, b + start]) for a, b in zip(first, second, strict=True))
        both = np.split(linear(every, train, test, aside), [len(first[1])])
        for name, labels, split, scores in zip(
            found, (mmlu, gsm8k), (first, second), both, strict=True
        ):
            own = {OURS: linear(labels, *split, aside), R: reference(labels, *split), BOTH: scores}
            found[name].append(Trial(split[1], own))
    return found


def test_little_data_over_more_seeds(traffic: Traffic, aside: Path) -> None:
    labels = traffic.gsm8k

    def trial(train: Rows, test: Rows) -> Trial:
        scores = {OURS: linear(labels, train, test, aside), R: reference(labels, train, test)}
        return Trial(test, scores)

    groups = [[trial(*split) for split in folds(labels, seed)] for seed in GSM8K_SEEDS]
    report("GSM8K, 5 seeds", groups, labels)
