"""Data sets of `hem evaluate`: what is read of a row, and what is refused by its line."""

import json
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.datasets import read_data
from predictors.errors import ConfigurationError


def written(path: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_questions_come_from_a_file_line_by_line(tmp_path: Path) -> None:
    path = written(
        tmp_path / "q.jsonl", {"query": "a", "answer": "b"}, "", {"query": "c", "answer": "d"}
    )
    data = read_data(path)
    assert [(i.question.query, i.question.references) for i in data.items] == [
        ("a", ("b",)),
        ("c", ("d",)),
    ]
    assert (data.name, data.rows, data.recorded) == ("q", 2, False)
    assert len(read_data(path, limit=1).items) == 1


def test_a_limit_draws_by_seed_and_keeps_the_order(tmp_path: Path) -> None:
    rows = [{"id": n, "query": f"q{n}", "answer": "x"} for n in range(200)]
    path = written(tmp_path / "q", *rows)
    drawn = [item.question.id for item in read_data(path, limit=50, seed=1).items]
    assert drawn == sorted(drawn) and len(set(drawn)) == 50
    assert drawn == [item.question.id for item in read_data(path, limit=50, seed=1).items]
    assert drawn != [item.question.id for item in read_data(path, limit=50, seed=2).items]
    assert drawn != list(range(50))


@pytest.mark.parametrize(
    ("row", "references"),
    [
        ({"answer": 2}, ("2",)),
        ({"reference": "2"}, ("2",)),
        ({"answer": ["2", "two"]}, ("2", "two")),
        ({"reference": [2, 2.5]}, ("2", "2.5")),
        ({"answer": None, "reference": "two"}, ("two",)),
    ],
)
def test_answers_are_written_as_for_hem_label(
    tmp_path: Path, row: dict[str, Any], references: tuple[str, ...]
) -> None:
    (item,) = read_data(written(tmp_path / "rows", {"query": "1 + 1?", **row})).items
    assert item.question.references == references


TENSOR = {"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [0, 1]}


def test_a_question_may_be_tensors(tmp_path: Path) -> None:
    (item,) = read_data(written(tmp_path / "i", {"inputs": [TENSOR], "answer": "7"})).items
    assert item.request({"hem_prefer": "edge"}) == {
        "inputs": [TENSOR],
        "parameters": {"hem_prefer": "edge"},
    }


RECORDED = {
    "query": "1 + 1?",
    "subject": "sums",
    "edge_correct": False,
    "cloud_correct": True,
    "edge_answer": "3",
    "cloud_answer": "2",
    "edge_mean_logprob": -0.5,
    "edge_prompt_tokens": 4,
    "cloud_completion_tokens": 1,
    "cloud_latency": 0.25,
}


def test_a_row_may_tell_what_both_models_did(tmp_path: Path) -> None:
    data = read_data(written(tmp_path / "r", RECORDED))
    (item,) = data.items
    edge, cloud = item.recorded["edge"], item.recorded["cloud"]
    assert data.recorded and item.category == "sums"
    assert (edge.quality, cloud.quality) == (0.0, 1.0)
    assert (edge.text, edge.edge_prompt_tokens, cloud.cloud_completion_tokens) == ("3", 4, 1)
    assert cloud.seconds == 0.25
    assert edge.edge_row == {"edge_answer": "3", "edge_mean_logprob": -0.5}


def test_a_model_that_failed_on_a_row_has_an_error_and_no_quality(tmp_path: Path) -> None:
    row = {"query": "q", "edge_score": 0.5, "cloud_error": "503"}
    (item,) = read_data(written(tmp_path / "r", row)).items
    assert item.recorded["cloud"].error == "503"
    assert item.recorded["cloud"].quality is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "not JSON"),
        ("[]", "JSON object"),
        ('{"query": "a"}', "no 'answer'"),
        ('{"query": "a", "answer": ""}', "'answer' must be"),
        ('{"query": "a", "answer": []}', "'answer' must be"),
        ('{"query": "a", "answer": true}', "'answer' must be"),
        ('{"query": "a", "answer": {"text": "b"}}', "'answer' must be"),
        ('{"query": "a", "reference": ["b", null]}', "'reference' must be"),
        ('{"query": "", "answer": "b"}', "'query' must be"),
        ('{"query": 1, "answer": "b"}', "'query' must be"),
        ('{"inputs": [], "answer": "1"}', "inputs must be"),
        ('{"inputs": [7], "answer": "1"}', "an input has no name"),
        ('{"inputs": [{"name": "x"}], "answer": "1"}', "an input has no datatype"),
        ('{"inputs": "x", "answer": 1}', "inputs must be"),
        ('{"query": "a", "answer": "b", "edge_correct": "yes"}', "the edge's label"),
        ('{"query": "a", "answer": "b", "edge_correct": 1, "edge_answer": 7}', "must be a string"),
        ('{"id": "same", "query": "a", "answer": "b"}', "is line 1's too"),
        ('{"query": "z", "edge_score": 1, "cloud_score": 2}', "edge_score where earlier"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    first = {"id": "same", "query": "f", "edge_correct": 0, "cloud_correct": 1}
    with pytest.raises(ConfigurationError, match=said) as fault:
        read_data(written(tmp_path / "questions.jsonl", first, line))
    assert "questions.jsonl, line 2" in str(fault.value)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_data(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match="has no rows"):
        read_data(tmp_path / "empty")
