"""Labelled rows: the three kinds of label, epsilon, and rows that can't be meant."""

import json
from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from predictors.jsonl import MAX_QUERY_BYTES
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.targets import difference
from transformers_hem.routers.training import train


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_preference_scores_its_winner_and_halves_a_tie(tmp_path: Path) -> None:
    winners = ["edge", "cloud", "tie"]
    rows: list[dict[str, object]] = [{"query": name, "winner": name} for name in winners]
    labels = read_labels(write(tmp_path / "rows.jsonl", rows))
    assert labels.edge.tolist() == [1, 0, 0.5]
    assert labels.cloud.tolist() == [0, 1, 0.5]
    assert labels.hard.tolist() == [False, True, False]
    assert difference(labels).tolist() == [0, 1, 0.5]


def test_ties_alone_keep_the_scale_of_preferences(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"query": "q", "winner": "tie"}] * 2
    assert read_labels(write(tmp_path / "rows.jsonl", rows)).scale == 1


def test_a_router_learns_from_preferences(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": f"{'prove' if i % 2 else 'name'} it {i}", "winner": "cloud" if i % 2 else "tie"}
        for i in range(40)
    ]
    data = write(tmp_path / "rows.jsonl", rows)
    assert float(train(data, "LinearRouter", tmp_path / "router")["auroc"]) > 0.9


@pytest.mark.parametrize(("epsilon", "hard"), [(0, [True, True, False]), (1, [False, True, False])])
def test_hard_is_worse_by_more_than_epsilon(
    tmp_path: Path, epsilon: float, hard: list[bool]
) -> None:
    pairs = [(6, 7), (6, 8), (6, 6)]
    rows: list[dict[str, object]] = [
        {"query": "q", "edge_score": edge, "cloud_score": cloud} for edge, cloud in pairs
    ]
    labels = read_labels(write(tmp_path / "rows.jsonl", rows), epsilon)
    assert labels.hard.tolist() == hard
    assert labels.subset(np.array([1])).hard.tolist() == hard[1:2]


def test_a_router_remembers_its_epsilon(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": f"question {i}", "edge_score": 5, "cloud_score": 5 + i % 5} for i in range(20)
    ]
    data = write(tmp_path / "rows.jsonl", rows)
    shares = []
    for epsilon in (0.0, 2.5):
        metrics = train(data, "LinearRouter", tmp_path / "router", epsilon=epsilon)
        shares.append(metrics["hard_share"])
        config = json.loads((tmp_path / "router" / "config.json").read_text())
        assert config["epsilon"] == epsilon
    assert shares == [0.8, 0.4]


@pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
def test_epsilon_must_be_a_margin(tmp_path: Path, epsilon: float) -> None:
    data = write(tmp_path / "rows.jsonl", [{"query": "q", "winner": "tie"}])
    with pytest.raises(ConfigurationError, match="epsilon must be 0 or more, not"):
        read_labels(data, epsilon)


@pytest.mark.parametrize(
    "scores", [{"edge_score": 1e308, "cloud_score": 0}, {"edge_score": 0, "cloud_score": -1e308}]
)
def test_a_score_is_small_enough_to_reckon_with(tmp_path: Path, scores: dict[str, object]) -> None:
    usable: dict[str, object] = {"query": "q", "edge_score": 1e100, "cloud_score": -1e100}
    data = write(tmp_path / "rows.jsonl", [usable, {"query": "q", **scores}])
    with pytest.raises(ConfigurationError, match=r"line 2: .*_score' must be between -1e\+100 and"):
        read_labels(data)


def test_a_router_learns_from_the_largest_scores(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"query": f"question {i}", "edge_score": (-1e100, 1e100)[i % 2], "cloud_score": 0}
        for i in range(40)
    ]
    metrics = train(write(tmp_path / "rows.jsonl", rows), "LinearRouter", tmp_path / "router")
    assert np.isfinite([value for value in metrics.values() if isinstance(value, float)]).all()


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"query": "q", "winner": "both"}, "'winner' must be edge, cloud or tie, not 'both'"),
        ({"query": "q", "winner": None}, "'winner' must be edge, cloud or tie, not None"),
        ({"query": "q", "edge_correct": 1, "cloud_correct": 1}, "edge_correct where earlier rows"),
        ({"id": "a", "query": "q", "winner": "tie"}, "id 'a' is line 1's too"),
        ({"id": [1], "query": "q", "winner": "tie"}, "'id' must be a string or an integer"),
        ({"query": "é" * MAX_QUERY_BYTES, "winner": "tie"}, "'query' has 2000000 bytes; at most"),
    ],
)
def test_a_row_that_cannot_be_meant_is_named(
    tmp_path: Path, row: dict[str, object], fault: str
) -> None:
    data = write(tmp_path / "rows.jsonl", [{"id": "a", "query": "q", "winner": "edge"}, row])
    with pytest.raises(ConfigurationError, match="line 2: ") as raised:
        read_labels(data)
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [None, "x", True, 1e39])
def test_a_signal_that_telemetry_cannot_be_is_missing(tmp_path: Path, value: object) -> None:
    rows: list[dict[str, object]] = [
        {"query": "q", "winner": "tie", "edge_mean_logprob": logprob} for logprob in (-0.5, value)
    ]
    telemetry = read_labels(write(tmp_path / "rows.jsonl", rows)).telemetry
    assert telemetry is not None
    with pytest.raises(ConfigurationError, match="line 2: no number in 'edge_mean_logprob'"):
        telemetry.require("mean_logprob")
