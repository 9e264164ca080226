"""What `hem evaluate` counts, on outcomes that are known and on scripted servers."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from inferencegraph.evaluate.benchmark import read_benchmark, read_questions
from inferencegraph.evaluate.comparison import CLOUD_ONLY, EDGE_ONLY, ROUTED, Comparison, table
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.outcome import Item, Outcome, read_answer
from inferencegraph.read.documents import MANIFESTS
from predictors.digits.workshop.questions import rows
from predictors.errors import ConfigurationError

ITEM = Item.of_text("1 + 1", "2")


def outcome(text: str | None, route: str = "edge", seconds: float = 0.1) -> Outcome:
    error = "503" if text is None else None
    return Outcome(ITEM, seconds, text, None if text is None else route, f"qa-{route}", error)


def comparison() -> Comparison:
    cloud = [outcome(text, "cloud") for text in ("2", " 2 ", "2", "2", "3")]
    routed = [outcome("2"), outcome("2"), outcome("5"), outcome("2", "cloud"), outcome(None)]
    return Comparison("http://x", 4, {ROUTED: routed, CLOUD_ONLY: cloud})


def test_accuracy_counts_a_failure_as_wrong_and_ignores_blanks() -> None:
    assert comparison().numbers(CLOUD_ONLY)["accuracy"] == 0.8
    assert comparison().numbers(ROUTED)["accuracy"] == 0.6


def test_kept_is_relative_to_the_cloud() -> None:
    assert comparison().numbers(ROUTED)["cloud_accuracy_kept"] == pytest.approx(0.75)


def test_kept_is_undefined_where_the_cloud_is_never_right() -> None:
    wrong = [outcome("5", "cloud")]
    made = Comparison("http://x", 4, {ROUTED: wrong, CLOUD_ONLY: wrong})
    assert made.numbers(ROUTED)["cloud_accuracy_kept"] is None


def test_the_edge_share_is_about_decisions_over_all_questions() -> None:
    assert comparison().numbers(ROUTED)["edge_share"] == pytest.approx(3 / 5)


def test_failures_are_counted_and_named() -> None:
    assert comparison().numbers(ROUTED)["failures"] == 1
    assert comparison().errors() == {"503": 1}


def test_latency_percentiles_leave_failures_out() -> None:
    run = [outcome("2", seconds=n / 100) for n in range(101)] + [outcome(None, seconds=99)]
    made = Comparison("http://x", 4, {ROUTED: run, CLOUD_ONLY: run})
    assert made.numbers(ROUTED)["latency_p50_seconds"] == pytest.approx(0.50)
    assert made.numbers(ROUTED)["latency_p95_seconds"] == pytest.approx(0.95)


def test_who_answered_is_counted() -> None:
    assert comparison().served_by(ROUTED) == {"qa-edge": 3, "qa-cloud": 1}


def test_metric_names_are_unique() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_questions_come_from_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "a", "answer": "b"}\n\n{"query": "c", "answer": "d"}\n')
    assert read_questions(path, None) == [Item.of_text("a", "b"), Item.of_text("c", "d")]
    assert read_questions(path, 1) == [Item.of_text("a", "b")]


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({"answer": 2}, ["2", " 2\n"]),
        ({"reference": "2"}, ["2"]),
        ({"answer": ["2", "two"]}, ["2", "two "]),
        ({"reference": [2, 2.5]}, ["2", "2.5"]),
        ({"answer": None, "reference": "two"}, ["two"]),
    ],
)
def test_answers_are_written_as_for_hem_label(
    tmp_path: Path, row: dict[str, Any], right: list[str]
) -> None:
    (tmp_path / "rows").write_text(json.dumps({"query": "1 + 1?", **row}))
    (item,) = read_questions(tmp_path / "rows", None)
    assert all(Outcome(item, 0.1, text).right for text in right)
    assert not Outcome(item, 0.1, "3").right


TENSOR = {"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [0, 1]}


def test_a_question_may_be_tensors(tmp_path: Path) -> None:
    path = tmp_path / "images.jsonl"
    path.write_text(json.dumps({"inputs": [TENSOR], "answer": "7"}))
    (item,) = read_questions(path, None)
    assert item.request({"hem_prefer": "edge"}) == {
        "inputs": [TENSOR],
        "parameters": {"hem_prefer": "edge"},
    }


def answer(name: str, data: Any, **parameters: Any) -> dict[str, Any]:
    output = {"name": name, "datatype": "FP32", "shape": [1, 3], "data": data}
    return {"model_name": "m", "outputs": [output], "parameters": parameters}


def test_the_answer_is_the_text_or_the_likeliest_class() -> None:
    classified = answer("probabilities", [0.1, 0.7, 0.2], hem_route="edge", served_by="small")
    assert read_answer(classified) == ("1", "edge", "small")
    assert read_answer(answer("probabilities", [1, 0])) == ("0", None, "m")
    assert read_answer(answer("text_output", ["2"], served_by="big")) == ("2", None, "big")


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"outputs": 7},
        {"outputs": [7]},
        answer("boxes", [1]),
        answer("probabilities", None),
        answer("probabilities", []),
        answer("probabilities", ["1"]),
        answer("text_output", []),
        {**answer("probabilities", [1]), "parameters": [1]},
    ],
)
def test_an_answer_of_neither_kind_is_a_value_error(response: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no V2 response"):
        read_answer(response)


def test_the_shipped_images_are_the_test_half() -> None:
    path = MANIFESTS / "digit-recognition/benchmarks/test.jsonl"
    assert path.read_text().splitlines() == list(rows())


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"query": "a"}',
        '{"query": "a", "answer": ""}',
        '{"query": "a", "answer": []}',
        '{"query": "a", "answer": true}',
        '{"query": "a", "answer": {"text": "b"}}',
        '{"query": "a", "reference": ["b", null]}',
        '{"query": "", "answer": "b"}',
        '{"query": 1}',
        '{"inputs": [], "answer": "1"}',
        '{"inputs": [7], "answer": "1"}',
        '{"inputs": [{"name": "x"}], "answer": "1"}',
        '{"inputs": "x", "answer": 1}',
    ],
)
def test_a_bad_question_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "a", "answer": "b"}\n' + line + "\n")
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl, line 2"):
        read_questions(path, None)


def test_a_missing_or_empty_file_of_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_questions(tmp_path / "none", None)
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match="has no rows"):
        read_questions(tmp_path / "empty", None)


def test_a_benchmarks_paths_are_relative_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text("name: b\nmanifests: [up]\ndata: q.jsonl\n")
    benchmark = read_benchmark(path)
    assert benchmark.manifests == [tmp_path / "up"]
    assert benchmark.data == tmp_path / "q.jsonl"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: b\nmanifest: [x]", "manifests: is required"),
        ("name: b\nmanifests: []", "manifests"),
        ("name: b\nmanifests: [x]\nlimits: 3", "limits: Extra inputs"),
        ("name: b\nmanifests: [x]\nconcurrency: 0", "concurrency: .*; fields: name, manifests"),
        ("name: [", "bench.yaml"),
        ("", "bench.yaml: the file: .*; fields: name"),
    ],
)
def test_a_wrong_benchmark_is_refused_by_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        read_benchmark(path)


@pytest.mark.parametrize("mode", ["mining-then-inference", "inference-then-mining"])
def test_the_shipped_benchmarks_can_be_read(mode: str) -> None:
    benchmark = read_benchmark(MANIFESTS / "answer-generation" / "benchmarks" / f"{mode}.yaml")
    assert all(manifest.is_dir() for manifest in benchmark.manifests)


@pytest.mark.parametrize("width", [60, 72, 80, 140])
def test_no_number_of_the_table_is_cut(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    edge = [outcome("2")] * 1037 + [outcome("3")] * 463
    cloud = [outcome("2", "cloud")] * 1499 + [outcome("3", "cloud")]
    runs = {EDGE_ONLY: edge, ROUTED: edge[500:] + cloud[:500], CLOUD_ONLY: cloud}
    Console(width=width).print(table(Comparison("http://x", 4, runs), "evaluation", width))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    for shown in ("69.1%", "99.9%", "66.7%", "qa-edge 1500", "qa-cloud 500", "at the edge"):
        assert shown in printed
