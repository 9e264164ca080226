"""The file of questions, and what is refused in it before anything is asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.labels.question import read_questions
from transformers_hem.labels.scorers.options import make_scorer, require_scorable


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_reference_may_be_called_answer_and_be_a_number_or_several(tmp_path: Path) -> None:
    rows = [{"query": "a", "answer": "x"}, {"query": "b", "reference": [1, 2.5]}, {"query": "c"}]
    questions = read_questions(write(tmp_path / "q", *rows), None)
    assert [q.references for q in questions] == [("x",), ("1", "2.5"), ()]


def test_an_id_of_its_content_stays_when_the_file_grows(tmp_path: Path) -> None:
    rows = [{"query": "a"}, {"query": "b"}]
    before = read_questions(write(tmp_path / "q", *rows), None)
    after = read_questions(write(tmp_path / "q", {"query": "new"}, *rows), None)
    assert [q.id for q in after[1:]] == [q.id for q in before]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"reference": "1"}, "'query' must be a non-empty string"),
        ({"query": " "}, "'query' must be a non-empty string"),
        ({"query": "a" * 1_000_001}, "'query' has 1000001 bytes; at most 1000000"),
        ({"query": "one", "reference": "1"}, "is line 1's too"),
        ({"id": "x", "query": "a", "reference": ""}, "'reference' must be a non-empty string"),
        ({"id": "x", "query": "a", "reference": True}, "'reference' must be a non-empty string"),
        ({"id": "x", "query": "a", "reference": []}, "'reference' must be a non-empty string"),
        ({"id": 1.5, "query": "a"}, "'id' must be a string or an integer"),
        ({"query": "a", "edge_answer": 5}, "'edge_answer' must be a string"),
        (
            {"query": "a", "edge_answer": "5", "edge_mean_logprob": "x"},
            "'edge_mean_logprob' must be a number (FP32)",
        ),
        (
            {"query": "a", "edge_answer": "5", "edge_prompt_tokens": 3e9},
            "'edge_prompt_tokens' must be a number (INT32)",
        ),
        (
            {"query": "a", "cloud_answer": "5", "cloud_completion_tokens": 2.5},
            "'cloud_completion_tokens' must be a number (INT32)",
        ),
        (
            {"query": "a", "edge_answer": "5", "edge_min_logprob": True},
            "'edge_min_logprob' must be a number (FP32)",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    data = write(tmp_path / "q", {"query": "one", "reference": "1"}, row)
    with pytest.raises(ConfigurationError, match="line 2: ") as raised:
        read_questions(data, None)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("scorer", "reference", "told"),
    [
        ("exact_match", None, "no reference, and exact_match needs one"),
        ("rouge_l", None, "no reference, and rouge_l needs one"),
        ("numeric", "many", "numeric: reference 'many' has no number"),
        ("multiple_choice", "many", "multiple_choice: reference 'many' is neither an option's"),
    ],
)
def test_a_reference_that_the_scorer_cannot_use_is_named(
    tmp_path: Path, scorer: str, reference: str | None, told: str
) -> None:
    questions = read_questions(write(tmp_path / "q", {"query": "a", "reference": reference}), None)
    with pytest.raises(ConfigurationError, match=f"line 1: {told}"):
        require_scorable(make_scorer(scorer, []), scorer, questions)


async def test_a_judge_needs_no_reference(tmp_path: Path) -> None:
    questions = read_questions(write(tmp_path / "q", {"query": "a"}), None)
    scorer = make_scorer("llm_judge", ["model=j"])
    require_scorable(scorer, "llm_judge", questions)
    await scorer.close()
