"""What `hem evaluate` counts, on outcomes that are known and on scripted servers."""

from pathlib import Path

import pytest

from inferencegraph.evaluate.benchmark import read_benchmark
from inferencegraph.evaluate.comparison import CLOUD_ONLY, ROUTED, Comparison
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.outcome import Item, Outcome
from inferencegraph.evaluate.questions import read_questions
from inferencegraph.local.manifests import MANIFESTS
from predictors.errors import ConfigurationError

ITEM = Item("1 + 1", "2")


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
    assert read_questions(path, None) == [Item("a", "b"), Item("c", "d")]
    assert read_questions(path, 1) == [Item("a", "b")]


@pytest.mark.parametrize(
    "line", ["no json", "[]", '{"query": "a"}', '{"query": "", "answer": "b"}', '{"query": 1}']
)
def test_a_bad_question_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"query": "a", "answer": "b"}\n' + line + "\n")
    with pytest.raises(ConfigurationError, match=r"questions\.jsonl:2"):
        read_questions(path, None)


def test_a_missing_or_empty_file_of_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_questions(tmp_path / "none", None)
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigurationError, match="no questions"):
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
        ("name: b\nmanifest: [x]", "manifests: field required"),
        ("name: b\nmanifests: []", "manifests"),
        ("name: b\nmanifests: [x]\nlimits: 3", "limits: extra"),
        ("name: [", "bench.yaml"),
        ("", "bench.yaml"),
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
