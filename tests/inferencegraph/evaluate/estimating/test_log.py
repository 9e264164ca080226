"""The log: what is a row of an estimate, what is left out, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.estimating.log import Log, drawn, read_log
from predictors.errors import ConfigurationError
from transformers_hem.labels.scorers.options import make_scorer

ROW = {"query": "one?", "reference": "1", "cloud_answer": "1"}


def read(tmp_path: Path, *rows: Any, scorer: str = "exact_match", agreement: bool = False) -> Log:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (tmp_path / "log.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return read_log(tmp_path / "log.jsonl", make_scorer(scorer, ()), scorer, agreement)


@pytest.mark.parametrize(
    ("changes", "scorer", "reason"),
    [
        ({"cloud_answer": None}, "exact_match", "no answer of the cloud"),
        ({"cloud_answer": " \n"}, "exact_match", "no answer of the cloud"),
        ({"truncated": True}, "exact_match", "an answer was cut off"),
        ({"query": " one? "}, "exact_match", "the same query as line 1"),
        ({"reference": "none"}, "numeric", "numeric: reference 'none' has no number"),
        (
            {"query": None, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "exact_match",
            "image_url",
        ),
        ({"messages": [{"role": "nobody", "content": "x"}]}, "exact_match", "must be a role"),
    ],
)
def test_what_can_be_no_part_is_left_out_and_named(
    tmp_path: Path, changes: dict[str, Any], scorer: str, reason: str
) -> None:
    log = read(tmp_path, ROW, {**ROW, "query": "two?", **changes}, scorer=scorer)
    assert [row.question.query for row in log.rows] == ["one?"]
    (left,) = log.left_out
    assert left.where == f"{tmp_path}/log.jsonl, line 2"
    assert reason in left.reason


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("{", "line 2: not JSON"),
        ({"question": "two?", "cloud_answer": "2"}, "line 2: 'query' must be a non-empty string"),
        ({**ROW, "query": "two?", "cloud_answer": 7}, "line 2: 'cloud_answer' must be a string"),
        ({**ROW, "query": "two?", "cloud_cost": -1}, "line 2: 'cloud_cost' must be a number from"),
        ({**ROW, "query": "two?", "cloud_latency": "1"}, "line 2: 'cloud_latency' must be a"),
        ({"query": "two?", "cloud_answer": "2"}, "line 2: no reference, and 1 of 2 rows have one"),
    ],
)
def test_what_is_no_row_is_refused_with_its_line(tmp_path: Path, second: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(tmp_path, ROW, second)


def test_a_log_without_a_usable_row_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none of its 1 rows can.*line 1: no ans"):
        read(tmp_path, {"query": "one?"})


def test_without_references_the_clouds_answer_takes_their_place(tmp_path: Path) -> None:
    rows = [{"query": "one?", "cloud_answer": "is 1"}, {"query": "two?", "cloud_answer": "none"}]
    log = read(tmp_path, *rows, scorer="numeric")
    assert log.agreement
    assert log.rows[0].question.references == ("is 1",)
    assert "has no number" in log.left_out[0].reason
    assert not read(tmp_path, ROW).agreement
    other = read(tmp_path, {**ROW, "reference": "2"}, agreement=True)
    assert other.agreement and other.rows[0].question.references == ("1",)


def test_a_conversation_is_mined_by_its_last_question_and_asked_as_a_whole(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "one?"},
    ]
    other = [{"role": "system", "content": "Be long."}, messages[1]]
    log = read(
        tmp_path,
        {"messages": messages, "cloud_answer": "1"},
        {"messages": other, "cloud_answer": "1"},
        {"messages": messages, "cloud_answer": "1"},
    )
    assert [row.question.query for row in log.rows] == ["one?", "one?"]
    assert list(log.rows[0].messages) == messages
    assert log.rows[0].question.fingerprint != log.rows[1].question.fingerprint
    assert log.left_out[0].reason == "the same query as line 1"


def test_what_the_cloud_took_is_read_as_far_as_it_is_told(tmp_path: Path) -> None:
    told = {
        "cloud_model": "large",
        "cloud_prompt_tokens": 10,
        "cloud_completion_tokens": 21,
        "cloud_time_to_first_token": 0.5,
        "cloud_inter_token_latency": 0.1,
        "cloud_cost": 0.25,
    }
    log = read(tmp_path, {**ROW, **told}, {**ROW, "query": "two?", "cloud_latency": 3})
    first, second = log.rows
    assert first.usage is not None and first.usage.completion_tokens == 21
    assert (first.cost, first.model, first.latency) == (0.25, "large", pytest.approx(2.5))
    assert (second.cost, second.model, second.usage, second.latency) == (None, None, None, 3)


def test_the_order_is_random_and_the_seeds_own(tmp_path: Path) -> None:
    log = read(tmp_path, *({**ROW, "query": f"{i}?"} for i in range(50)))
    orders = [[row.question.query for row in drawn(log, 20, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert len(set(orders[0])) == 20
