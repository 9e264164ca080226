"""MixInstruct's rows as labels: by a score of theirs, or by the comparison of a pair."""

import json
from pathlib import Path
from typing import Any

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import read_labels
from transformers_hem.labels.mixinstruct import convert


def row(name: str, verdict: dict[str, str] | None = None, **scores: float) -> dict[str, Any]:
    candidates = [
        {"model": model, "text": f"{model} says", "scores": {"bartscore": value, "bleu": 1.5}}
        for model, value in scores.items()
    ]
    made = {"id": name, "instruction": "Translate.", "input": name, "output": "reference"}
    compared = {} if verdict is None else {"cmp_results": json.dumps(verdict)}
    return {**made, **compared, "candidates": candidates}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_a_score_of_the_rows_becomes_both_labels(tmp_path: Path) -> None:
    rows = [row("one", alpaca=-3.5, vicuna=-2.5, other=0), row("two", alpaca=-1, vicuna=-2)]
    data, out = write(tmp_path / "mix.json", rows), tmp_path / "labels"
    assert convert(data, out, "alpaca", "vicuna", "bartscore") == (2, 0)
    assert json.loads(out.read_text().splitlines()[0]) == {
        "id": "one",
        "query": "Translate.\none",
        "reference": "reference",
        "edge_answer": "alpaca says",
        "cloud_answer": "vicuna says",
        "edge_score": -3.5,
        "cloud_score": -2.5,
    }
    assert read_labels(out).hard.tolist() == [True, False]


def test_json_lines_do_as_well(tmp_path: Path) -> None:
    data = tmp_path / "mix.jsonl"
    data.write_text(json.dumps(row("one", alpaca=1, vicuna=2)) + "\n")
    assert convert(data, tmp_path / "labels", "alpaca", "vicuna", "bleu") == (1, 0)


def test_a_comparison_names_the_winner_whichever_comes_first(tmp_path: Path) -> None:
    verdicts = [
        {"e,c": "A is better"},
        {"c,e": "A is better"},
        {"e,c": "B is better"},
        {"c,e": "B is better"},
        {"e,c": "Same good"},
        {"c,e": "Same bad"},
        {"e,x": "A is better"},
        None,
    ]
    rows = [row(str(i), verdict, e=0, c=0) for i, verdict in enumerate(verdicts)]
    out = tmp_path / "labels"
    assert convert(write(tmp_path / "mix", rows), out, "e", "c", "comparison") == (6, 2)
    winners = [json.loads(line)["winner"] for line in out.read_text().splitlines()]
    assert winners == ["edge", "cloud", "cloud", "edge", "tie", "tie"]
    assert read_labels(out).scale == 1


def test_verdicts_of_both_orders_count(tmp_path: Path) -> None:
    verdicts = [
        {"e,c": "A is better", "c,e": "B is better"},
        {"e,c": "A is better", "c,e": "A is better"},
        {"e,c": "B is better", "c,e": "B is better"},
        {"e,c": "B is better", "c,e": "Same good"},
        {"e,c": "Same bad", "c,e": "Same good"},
        {"e,c": None, "c,e": "A is better"},
    ]
    rows = [row(str(i), verdict, e=0, c=0) for i, verdict in enumerate(verdicts)]
    out = tmp_path / "labels"
    assert convert(write(tmp_path / "mix", rows), out, "e", "c", "comparison") == (6, 0)
    winners = [json.loads(line)["winner"] for line in out.read_text().splitlines()]
    assert winners == ["edge", "tie", "tie", "cloud", "tie", "cloud"]


def compared(results: Any) -> dict[str, Any]:
    return row("a", e=1, c=1) | {"cmp_results": results}


def of_candidates(*candidates: Any) -> dict[str, Any]:
    return {"id": "a", "input": "x", "candidates": list(candidates)}


@pytest.mark.parametrize(
    ("bad", "score", "told"),
    [
        (compared("5"), "comparison", "'cmp_results' must be an object of verdicts, not '5'"),
        (compared("[1]"), "comparison", "'cmp_results' must be an object of verdicts"),
        (compared("{"), "comparison", "'cmp_results' must be an object of verdicts"),
        (compared(5), "comparison", "'cmp_results' must be an object of verdicts, not 5"),
        (compared({"e,c": ["A is better"]}), "comparison", "'cmp_results': ['A is better'] is no"),
        (compared({"c,e": 5}), "comparison", "'cmp_results': 5 is not a verdict"),
        (
            compared({"e,c": "A is better", "c,e": "A"}),
            "comparison",
            "'cmp_results': 'A' is not a verdict",
        ),
        ({"id": "a", "candidates": 5}, "bleu", "'candidates' must be a list, not 5"),
        (of_candidates(5), "bleu", "'candidates' must be a list of objects, not 5"),
        (of_candidates({"model": ["e"]}), "bleu", "'model' must be a string, not ['e']"),
        (
            of_candidates({"model": "e", "scores": [1]}, {"model": "c"}),
            "bleu",
            "'scores' must be an object, not [1]",
        ),
        (
            of_candidates({"model": "e", "text": 5}, {"model": "c"}),
            "bleu",
            "'text' must be a string, not 5",
        ),
    ],
)
def test_a_field_of_another_kind_is_named_with_its_row(
    tmp_path: Path, bad: dict[str, Any], score: str, told: str
) -> None:
    data = write(tmp_path / "mix", [bad])
    with pytest.raises(ConfigurationError) as raised:
        convert(data, tmp_path / "labels", "e", "c", score)
    assert f"mix, row 1: {told}" in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("rows", "score", "told"),
    [
        ([row("a", e=1)], "bartscore", "row 1: no candidate of model 'c'; known: e"),
        ([row("a", e=1, c=1)], "bert", "row 1: 'e' has no score 'bert' for --scorer; known: barts"),
        (
            [row("a", {"e,c": "A"}, e=1, c=1)],
            "comparison",
            "row 1: 'cmp_results': 'A' is not a verdict",
        ),
        ([row("a", e=1, c=1)], "comparison", "no row compares 'e' and 'c'"),
        ([row("a", e=1, c=1)] * 2, "bleu", "line 2: id 'a' is line 1's too"),
        ([1], "bleu", "row 1: must be a JSON object"),
        ([{"id": "a"}], "bleu", "row 1: no candidate of model 'e'; known: none"),
    ],
)
def test_a_bad_row_is_named_and_nothing_written(
    tmp_path: Path, rows: list[Any], score: str, told: str
) -> None:
    data = write(tmp_path / "mix", rows)
    with pytest.raises(ConfigurationError, match=told):
        convert(data, tmp_path / "labels", "e", "c", score)
    assert list(tmp_path.iterdir()) == [data]
