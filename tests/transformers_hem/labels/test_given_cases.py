"""Inputs of public bug reports, in ../shared/cases: each answer is read as the value beside it."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.datasets import read_data
from transformers_hem.labels.job import Job, Watcher, label
from transformers_hem.labels.question import read_questions
from transformers_hem.labels.scorers.multiple_choice import chosen_option, options_of
from transformers_hem.labels.scorers.numeric import final_number


@pytest.fixture
def cases(shared: Path) -> Path:
    return shared / "cases"


def listed(script: Path) -> list[Any]:
    """CASES of a script, with the texts that it names, without running it."""
    names: dict[str, Any] = {}
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            code = compile(ast.Expression(node.value), str(script), "eval")
            names[node.targets[0].id] = eval(code, {}, names)
    return list(names["CASES"])


def test_every_option_is_read(cases: Path) -> None:
    rows = listed(cases / "06_multiple_choice.py")
    read = [(query, answer, chosen_option(answer, options_of(query))) for query, answer, _ in rows]
    assert len(rows) >= 24
    assert read == rows


def test_every_number_is_read(cases: Path) -> None:
    rows = listed(cases / "07_numeric.py")
    assert len(rows) >= 17
    assert [final_number(answer) for answer, _ in rows] == [pytest.approx(n) for _, n in rows]


@pytest.mark.parametrize(
    ("name", "scorer"), [("06_label.jsonl", "multiple_choice"), ("07_label.jsonl", "numeric")]
)
async def test_no_right_answer_gets_a_wrong_label(
    cases: Path, tmp_path: Path, name: str, scorer: str
) -> None:
    result = await label(Job(cases / name, tmp_path / "out", scorer), Watcher())
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [row for row in rows if not (row["edge_correct"] and row["cloud_correct"])] == []
    assert (result.summary.edge_unread, result.summary.cloud_unread) == (0, 0)


@pytest.mark.parametrize(
    "name",
    ["u2028.jsonl", "number.jsonl", "list.jsonl", "reference.jsonl", "bom.jsonl", "rows.jsonl.gz"],
)
def test_rows_of_one_command_are_rows_of_the_other(cases: Path, name: str) -> None:
    path = cases / f"08_{name}"
    questions, items = read_questions(path, None), read_data(path).items
    assert [q.references for q in questions] == [item.question.references for item in items]
    assert [q.query for q in questions] == [item.inputs[0]["data"][0] for item in items]
