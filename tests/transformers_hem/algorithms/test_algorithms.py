"""Every algorithm gives a difficulty in [0, 1], or NaN where its signal is missing."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import INLINE_CHARACTERS, Algorithm, Batch
from transformers_hem.algorithms.parameters import parse, read_parameters
from transformers_hem.algorithms.self_consistency import normalised


def algorithm(name: str, **parameters: str) -> Algorithm:
    kind = ALGORITHMS.load(name)
    return kind(parse(name, kind, parameters))


def queries(*texts: str) -> Batch:
    return Batch(len(texts), texts=texts)


LABELLED = ROOT / "tests/data/labels/few_queries.jsonl"
NEEDED = {"OracleRouter": {"labels": str(LABELLED)}}


@pytest.mark.parametrize("name", ALGORITHMS.names())
def test_every_row_of_the_table_scores_a_batch(name: str, encoder_routers: dict[str, Path]) -> None:
    own = "BERTRouter" if name == "BertRouter" else name
    router = {"router": str(encoder_routers[own])} if own in encoder_routers else {}
    batch = Batch(
        2,
        texts=("What is 2 + 2?", "ü"),
        mean_logprob=np.array([-0.1, -3.0]),
        min_logprob=np.array([-0.2, -4.0]),
        probabilities=np.array([[0.9, 0.1], [0.5, 0.5]]),
        boxes=np.array([[[0, 0, 1, 1, 0.9, 3]], [[0, 0, 1, 1, 0.4, 3]]]),
        answers=("4", "?"),
        samples=(("4", "4"), ("a", "b")),
    )
    loaded = algorithm(name, **router, **NEEDED.get(name, {}))
    scores = loaded.score(batch)
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()
    kept = {field.name for field in fields(Batch)} - set(loaded.signals)
    without = Batch(**{field: getattr(batch, field) for field in kept})
    assert np.isnan(loaded.score(without)).all() == (loaded.stage == "answer")


def test_the_fixed_ones_score_the_ends_of_the_range() -> None:
    batch = queries("a", "b")
    assert algorithm("EdgeOnly").score(batch).tolist() == [0, 0]
    assert algorithm("CloudOnly").score(batch).tolist() == [1, 1]


def test_random_is_even_and_the_same_for_the_same_seed_and_query() -> None:
    batch = queries(*(f"question {i}" for i in range(4000)))
    scores = algorithm("Random", seed="7").score(batch)
    assert np.histogram(scores, bins=4, range=(0, 1))[0].min() > 900
    assert scores.tolist() == algorithm("Random", seed="7").score(batch).tolist()
    assert scores.tolist() != algorithm("Random", seed="8").score(batch).tolist()
    assert scores[3] == algorithm("Random", seed="7").score(queries("question 3"))[0]


def test_confidence_rises_with_doubt_and_reads_the_signal_it_was_told() -> None:
    batch = Batch(3, mean_logprob=np.array([0.0, -0.5, -50.0]), min_logprob=np.full(3, -1.0))
    assert algorithm("ConfidenceRouter").score(batch) == pytest.approx([0, 0.3935, 1], abs=1e-4)
    minimum = algorithm("ConfidenceRouter", signal="min_logprob").score(batch)
    assert minimum == pytest.approx([0.6321] * 3, abs=1e-4)


def test_confidence_has_no_score_without_its_signal() -> None:
    router = algorithm("ConfidenceRouter")
    assert np.isnan(router.score(Batch(2))).all()
    assert np.isnan(router.score(Batch(2, mean_logprob=np.array([np.nan, -1])))).tolist() == [1, 0]


def test_self_consistency_is_the_share_of_samples_that_disagree() -> None:
    samples = (("4", "4.", " 4 "), ("b", "Paris", "  paris!"), ("-5", "5", ".5"))
    batch = Batch(3, texts=("q",) * 3, answers=("4", "Paris.", "5"), samples=samples)
    scores = algorithm("SelfConsistency", k="3").score(batch)
    assert scores == pytest.approx([0, 1 / 3, 2 / 3])


@pytest.mark.parametrize("samples", [(), (("4",),)])
def test_self_consistency_has_no_score_without_samples_of_every_row(
    samples: tuple[tuple[str, ...], ...],
) -> None:
    batch = Batch(2, texts=("q", "r"), answers=("4", "5"), samples=samples)
    assert np.isnan(algorithm("SelfConsistency").score(batch)).all()


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("**3.5**.", "3.5"),
        ("-3", "-3"),
        ("(B)", "b"),
        ("The  answer:\n42 .", "the answer 42"),
        ("\u201cYes\u201d", "yes"),
        ("ﬁve", "five"),
    ],
)
def test_answers_are_compared_without_case_spacing_and_closing_marks(text: str, bare: str) -> None:
    assert normalised(text) == bare


def test_an_oracle_refuses_labels_that_contradict_each_other(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    rows = [{"query": "q", "edge_correct": right, "cloud_correct": True} for right in (True, False)]
    labels.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(ConfigurationError, match=r"labels.jsonl has different labels .*'q'"):
        algorithm("OracleRouter", labels=str(labels))
    labels.write_text("\n".join([json.dumps(rows[0])] * 2))
    assert algorithm("OracleRouter", labels=str(labels)).score(queries("q")).tolist() == [0.5]


def test_an_oracle_of_scores_ranks_queries_by_what_the_cloud_adds(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    gains = {"a": (0.9, 0.1), "b": (0.5, 0.5), "c": (0.2, 0.5), "d": (0.1, 0.9)}
    rows = [{"query": q, "edge_score": e, "cloud_score": c} for q, (e, c) in gains.items()]
    labels.write_text("\n".join(json.dumps(row) for row in rows))
    scores = algorithm("OracleRouter", labels=str(labels)).score(queries(*gains))
    assert scores == pytest.approx([0, 0.5, 0.6875, 1])


def test_long_texts_belong_in_a_thread() -> None:
    router = algorithm("Random")
    assert not router.blocks(queries("short"))
    assert router.blocks(queries("x" * (INLINE_CHARACTERS + 1)))


@pytest.mark.parametrize(
    "text",
    [
        '{"seed": "7"}',
        '{"seed": 7}',
        '[{"key": "seed", "value": "7"}]',
        '[{"name": "seed", "value": "7"}]',
        '{"name": "Random", "parameters": [{"key": "seed", "value": "7"}]}',
    ],
)
def test_parameters_come_as_json_or_as_the_crds_list(text: str) -> None:
    name, values = read_parameters(text)
    assert values == {"seed": "7"}
    assert name == ("Random" if "Random" in text else None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not JSON"),
        ("7", "must be a JSON object or a list"),
        ('["seed"]', "a parameter is"),
        ('[{"key": "a", "name": "b", "value": "c"}]', "a parameter is"),
        ('[{"key": "seed", "value": "1"}, {"key": "seed", "value": "2"}]', "set twice"),
        ('{"seed": [1]}', "must be a string or a number"),
        ('{"name": "Random", "parameters": [], "threshold": 1}', "only"),
    ],
)
def test_malformed_parameters_are_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^--parameters.*{fault}"):
        read_parameters(text, "--parameters")


def test_a_bad_parameter_is_named_with_its_value_and_the_known_ones() -> None:
    kind = ALGORITHMS.load("Random")
    with pytest.raises(ConfigurationError, match=r"Random has no parameter 'sede' .*'1'.* seed"):
        parse("Random", kind, {"sede": "1"})
    with pytest.raises(ConfigurationError, match=r"Random: parameter 'seed' can't be 'x'.* seed"):
        parse("Random", kind, {"seed": "x"})
    with pytest.raises(ConfigurationError, match=r"EdgeOnly has no parameter 'a'.*known: none"):
        parse("EdgeOnly", ALGORITHMS.load("EdgeOnly"), {"a": ""})
