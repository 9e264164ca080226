"""The router that ships: what it promises, and that its labels make it again."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.transformers_hem.calibration import outcomes
from transformers_hem import embedded
from transformers_hem.algorithms.base import Batch
from transformers_hem.embedded.workshop.train import LABELS, confidence_cut
from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.directory import CONFIG_FILE
from transformers_hem.routers.linear.score import LinearModel
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


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


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("linear", [0.0220147601, 0.4584245795, 0.1865091903]),
        ("combined", [0.1233211446, 0.2092395596, 0.1753864553]),
        ("general", [0.0079144543, 0.0884659856, 0.1116713684]),
        ("best", [0.1947289294, 0.1003743009, 0.2063217263]),
    ],
)
def test_a_shipped_router_scores_as_it_did_when_it_was_released(
    name: str, scores: list[float]
) -> None:
    texts = (
        "What is 2 + 3?",
        "Reverse the word BANERUTOLIKA.",
        "Which is prime?\nA. 8\nB. 9\nC. 11\nD. 12\nAnswer:",
    )
    batch = Batch(3, texts=texts, mean_logprob=np.full(3, -0.1), min_logprob=np.full(3, -0.3))
    # Products in 8 bits are rounded otherwise on other processors.
    digits = 1e-2 if name == "best" else 1e-6
    assert open_router(f"embedded:{name}").score(batch) == pytest.approx(scores, abs=digits)


def test_query_and_answer_together_recover_more_than_either_alone() -> None:
    """On 24,000 questions that nothing was trained on, by a paired bootstrap of 95%: the two
    signals nearly agree, so that on a tenth of them chance would decide."""
    asked = outcomes.read()
    size = len(asked.queries)
    telemetry = {"mean_logprob": asked.mean_logprob, "min_logprob": asked.min_logprob}
    batch = Batch(size, texts=tuple(asked.queries), **telemetry)
    combined = open_router("embedded:combined").score(batch)
    alone = {"linear": open_router("embedded:linear").score(batch)}
    alone |= {name: -values for name, values in telemetry.items()}

    def recovered(scores: Floats, rows: Rows) -> float:
        return gap_recovered(scores[rows], asked.edge[rows], asked.cloud[rows])

    rng = np.random.default_rng(0)
    resamples = [rng.integers(size, size=size) for _ in range(100)]
    for name, scores in alone.items():
        gains = [recovered(combined, rows) - recovered(scores, rows) for rows in resamples]
        assert np.quantile(gains, 0.025) > 0, name


def test_a_less_certain_answer_is_never_easier() -> None:
    router = open_router("embedded:combined")
    nats = np.array([-1e-4, -0.01, -0.1, -0.5, -2.0, -8.0])
    for query in ("What is 2 + 3?", "What is 61 - 17?", "What is 47 * 385?"):
        batch = Batch(len(nats), texts=(query,) * len(nats), mean_logprob=nats, min_logprob=nats)
        assert (np.diff(router.score(batch)) >= 0).all()


def test_the_general_one_is_small_and_better_than_a_coin() -> None:
    files = embedded.directory("embedded:general").iterdir()
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert float(promised("embedded:general")["apgr"]) > 0.65
    texts = ("What is 2 + 2?", "Which is prime?\nA. 8\nB. 9\nC. 11\nD. 12\nAnswer:")
    scores = open_router("embedded:general").score(Batch(2, texts=texts))
    assert ((scores > 0) & (scores < 1)).all()


def test_the_best_one_ships_within_its_size_and_beats_the_general_one() -> None:
    directory = embedded.directory("embedded:best")
    assert sum(p.stat().st_size for p in directory.rglob("*") if p.is_file()) < 50_000_000
    assert float(promised("embedded:best")["apgr"]) > float(promised("embedded:general")["apgr"])
    assert float(promised("embedded:best")["apgr_lost_in_int8"]) <= 0.005
    assert b"site-packages" not in (directory / "encoder" / "model.onnx").read_bytes()


def test_the_best_one_still_orders_rows_that_it_learned_from(shared: Path) -> None:
    """Not how good it is, which only unseen rows tell: that weights and encoder fit together."""
    labels = read_labels(shared / "data" / "mmlu_mixtral_gpt4.jsonl.gz")
    labels = labels.subset(np.arange(0, len(labels.queries), 20))
    router = open_router("embedded:best")
    scores = router.score(Batch(len(labels.queries), texts=tuple(labels.queries)))
    assert gap_recovered(scores, labels.edge, labels.cloud) > 0.7
    assert router.default_threshold is not None


def promised(name: str) -> dict[str, float | int | str]:
    found: dict[str, float | int | str] = json.loads(
        (embedded.directory(name) / CONFIG_FILE).read_text()
    )["metrics"]
    return found


@pytest.mark.parametrize("signal", ["mean_logprob", "min_logprob"])
def test_the_edge_models_confidence_can_keep_the_same_promise(signal: str) -> None:
    cut = confidence_cut(LABELS, signal)
    assert cut.edge_share >= 0.4
