"""Which output of a classifier means hard, and what follows from getting that wrong."""

from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.classifier.score import Head, find_head
from transformers_hem.serving.settings import HEMSettings, build_decider

ROUTELLM = ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize(
    ("biases", "route", "score"),
    [
        ((3.0, 0.0, 0.0), "cloud", 0.909),  # the strong model wins
        ((0.0, 3.0, 0.0), "edge", 0.045),  # a tie
        ((0.0, 0.0, 3.0), "edge", 0.045),  # the weak model wins
    ],
)
@pytest.mark.parametrize("name", ["BERTRouter", "BertRouter"])
def test_fault_corrected_routellm_bert_is_read_upside_down(
    tmp_path: Path, name: str, biases: tuple[float, ...], route: str, score: float
) -> None:
    """Sedna and Ianvs send a query to the edge where LABEL_0 of routellm/bert is high, which says
    that the strong model wins; and they take a tie for hard."""
    model = write_bert(tmp_path / "bert", ROUTELLM, biases)
    block = f'{{"name": "{name}", "parameters": [{{"key": "model", "value": "{model}"}}]}}'
    decision = build_decider(HEMSettings(parameters=block)).decide(Batch(1, texts=("what ?",)))
    assert decision.route == route
    assert decision.score == pytest.approx(score, abs=0.001)


@pytest.mark.parametrize(
    ("labels", "hard_label", "head"),
    [
        (ROUTELLM, None, Head(0)),
        (ROUTELLM, "2", Head(2)),
        (("easy", "hard"), None, Head(1)),
        (("Hard", "Easy"), None, Head(0)),
        (("weak", "strong"), "strong", Head(1)),
        (("weak", "strong"), "0", Head(0)),
        (("score",), None, Head(0)),
        (("a", "b"), "difference", Head(None, edge=0, cloud=1)),
        (("edge_right", "cloud_right"), None, Head(None, edge=0, cloud=1)),
        (("cloud_right", "edge_right"), None, Head(None, edge=1, cloud=0)),
    ],
)
def test_the_hard_label_is_named_or_known(
    labels: tuple[str, ...], hard_label: str | None, head: Head
) -> None:
    assert find_head(labels, hard_label, "m") == head


@pytest.mark.parametrize(
    ("labels", "hard_label", "fault"),
    [
        (("POSITIVE", "NEGATIVE"), None, "has labels POSITIVE, NEGATIVE: set hard_label to"),
        (ROUTELLM, "strong", "LABEL_2: hard_label 'strong' is not one of them"),
        (ROUTELLM, "3", "hard_label '3' is not one"),
        (ROUTELLM, "difference", "difference is for two heads"),
        ((), None, "has labels none"),
    ],
)
def test_a_label_that_nobody_named_is_not_guessed(
    labels: tuple[str, ...], hard_label: str | None, fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        find_head(labels, hard_label, "m")


def test_two_labels_that_nobody_named_have_numbers(tmp_path: Path) -> None:
    """transformers leaves its default names out of config.json."""
    model = write_bert(tmp_path / "bert", ("LABEL_0", "LABEL_1"), (0.0, 2.0))
    assert "id2label" not in (model / "config.json").read_text()
    with pytest.raises(ConfigurationError, match="has labels LABEL_0, LABEL_1: set hard_label"):
        build_decider(HEMSettings(algorithm="BERTRouter", parameters=f'{{"model": "{model}"}}'))
    block = f'{{"model": "{model}", "hard_label": "1"}}'
    decider = build_decider(HEMSettings(algorithm="BERTRouter", parameters=block))
    assert decider.decide(Batch(1, texts=("what ?",))).score == pytest.approx(0.881, abs=0.001)


def test_logits_become_difficulties() -> None:
    logits = np.log(np.array([[2, 1, 1], [1, 1, 2]], dtype=np.float32))
    assert Head(0).difficulty(logits) == pytest.approx([0.5, 0.25])
    assert Head(0).difficulty(np.array([[0.0], [100.0]], np.float32)) == pytest.approx([0.5, 1])
    odds = np.log(np.array([[9, 1], [1, 9]], dtype=np.float32))  # P(edge), P(cloud) = 0.9, 0.5
    assert Head(None).difficulty(odds) == pytest.approx([0.3, 0.7])
    assert Head(None, edge=1, cloud=0).difficulty(odds) == pytest.approx([0.7, 0.3])
