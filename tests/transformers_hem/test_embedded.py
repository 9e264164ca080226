"""The router that ships: what it promises, and that its labels make it again."""

import json
from pathlib import Path

import numpy as np
import pytest

from transformers_hem import embedded
from transformers_hem.algorithms.base import Batch
from transformers_hem.algorithms.routers import open_router
from transformers_hem.embedded.train import LABELS, confidence_cut
from transformers_hem.router_directory import CONFIG_FILE, LinearModel
from transformers_hem.training import train
from transformers_hem.training.metrics import Judged
from transformers_hem.training.metrics.recovered import apgr
from transformers_hem.training.rows import read_labels


def test_it_promises_95_percent_of_the_clouds_accuracy_with_40_percent_at_the_edge() -> None:
    promised = LinearModel.load(embedded.directory("embedded:linear")).config.metrics
    assert float(promised["edge_share"]) >= 0.4
    assert float(promised["routed_quality"]) >= 0.95 * float(promised["cloud_quality"])


def test_its_labels_make_it_again(tmp_path: Path) -> None:
    train(LABELS, "LinearRouter", tmp_path / "again", seed=0)
    shipped = json.loads((embedded.directory("embedded:linear") / CONFIG_FILE).read_text())
    again = json.loads((tmp_path / "again" / CONFIG_FILE).read_text())
    assert again["data_sha256"] == shipped["data_sha256"]
    batch = Batch(3, texts=("What is 2 + 3?", "Reverse the word BANERUTOLIKA.", "Why?"))
    scores = [
        open_router(name).score(batch) for name in ("embedded:linear", str(tmp_path / "again"))
    ]
    # Not to the last bit: another processor's linear algebra may round otherwise.
    assert np.allclose(scores[0], scores[1], atol=1e-3)
    assert again["threshold"] == pytest.approx(shipped["threshold"], abs=0.01)


def test_query_and_answer_together_recover_more_than_either_alone() -> None:
    """On the training questions; the shipped ones' metrics are of scores from other folds."""
    labels = read_labels(LABELS)
    assert labels.telemetry is not None
    rest = {"threshold": 0.5, "edge": labels.edge, "cloud": labels.cloud, "hard": labels.hard}
    alone = [
        apgr(Judged(scores=-np.expm1(labels.telemetry.values[name]), **rest))
        for name in ("mean_logprob", "min_logprob")
    ]
    linear, combined = (promised(f"embedded:{name}")["apgr"] for name in ("linear", "combined"))
    assert float(combined) > max(*alone, float(linear))


def test_the_general_one_is_small_and_better_than_a_coin() -> None:
    files = embedded.directory("embedded:general").iterdir()
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert float(promised("embedded:general")["apgr"]) > 0.65
    texts = ("What is 2 + 2?", "Which is prime?\nA. 8\nB. 9\nC. 11\nD. 12\nAnswer:")
    scores = open_router("embedded:general").score(Batch(2, texts=texts))
    assert ((scores > 0) & (scores < 1)).all()


def promised(name: str) -> dict[str, float | int | str]:
    found: dict[str, float | int | str] = json.loads(
        (embedded.directory(name) / CONFIG_FILE).read_text()
    )["metrics"]
    return found


@pytest.mark.parametrize("signal", ["mean_logprob", "min_logprob"])
def test_the_edge_models_confidence_can_keep_the_same_promise(signal: str) -> None:
    cut = confidence_cut(LABELS, signal)
    assert cut.edge_share >= 0.4
