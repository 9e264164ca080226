"""Rows {query, label}, as the routing papers have them, in JSON Lines and in CSV."""

import json
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.training import train


def test_label_1_is_hard_and_0_is_as_good_at_the_edge(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"id": n, "query": f"q{n}", "label": n % 2} for n in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)))
    labels = read_labels(path)
    assert labels.hard.tolist() == [False, True, False, True]
    assert labels.edge.tolist() == [1, 0, 1, 0] and labels.cloud.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("head", ["id,query,label", "id,query,edge_correct,cloud_correct"])
def test_a_csv_table_trains_the_same_router(tmp_path: Path, head: str) -> None:
    names = head.split(",")
    rows = []
    for n in range(60):
        hard = n % 3 == 0
        query = f"{'prove, please, that' if hard else 'say hello to'} number {n}"
        told = {"id": n, "query": query, "label": int(hard)}
        rows.append(told | {"edge_correct": not hard, "cloud_correct": True})
    lines = [json.dumps({name: row[name] for name in names}) for row in rows]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    table = [head, *(",".join(f'"{row[name]}"' for name in names) for row in rows)]
    (tmp_path / "rows.csv").write_text("\n".join(table))
    for kind in ("jsonl", "csv"):
        train(tmp_path / f"rows.{kind}", "LinearRouter", tmp_path / kind)
    weights = [
        {f.name: f.read_bytes() for f in (tmp_path / kind).iterdir() if f.name != "config.json"}
        for kind in ("jsonl", "csv")
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("label", ['"1"', "true", "2", "0.5", "null"])
def test_another_label_is_refused_by_its_line(tmp_path: Path, label: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"query": "a", "label": 1}}\n{{"query": "b", "label": {label}}}\n')
    with pytest.raises(ConfigurationError, match=r"line 2: 'label' must be 1 \(hard"):
        read_labels(path)


def test_two_kinds_of_labels_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"query": "a", "label": 1}\n{"query": "b", "winner": "edge"}\n')
    with pytest.raises(ConfigurationError, match="line 2: winner where earlier rows have label"):
        read_labels(path)
