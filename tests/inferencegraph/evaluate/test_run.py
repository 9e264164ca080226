"""Whole benchmarks: recorded answers replayed, and a scripted graph and gateway asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from inferencegraph.evaluate.benchmark import Benchmark, read_benchmark
from inferencegraph.evaluate.leaderboard import rank_csv, table
from inferencegraph.evaluate.records import ROWS
from inferencegraph.evaluate.result import facts
from inferencegraph.evaluate.run import run
from inferencegraph.evaluate.store import board, entries, read_results, write
from inferencegraph.read.documents import MANIFESTS
from predictors.errors import ConfigurationError
from transformers_hem.routers.training import train


def recorded(path: Path, count: int = 60) -> Path:
    random = np.random.default_rng(4)
    rows = [
        {
            "id": f"q{n}",
            "query": f"What is {n} plus {n + 1}?",
            "subject": "sums" if n % 2 else "more sums",
            "edge_correct": bool(random.random() < 0.6),
            "cloud_correct": bool(random.random() < 0.9),
        }
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def done(benchmark: Benchmark, out: Path) -> dict[str, Any]:
    return facts(asyncio.run(run(benchmark, out)))


def test_baselines_and_oracle_are_what_is_counted_by_hand(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    small = np.array([row["edge_correct"] for row in rows], dtype=float)
    large = np.array([row["cloud_correct"] for row in rows], dtype=float)
    result = done(Benchmark(name="b", data=path), tmp_path / "out")
    found = {system["name"]: system["metrics"] for system in result["systems"]}
    assert found["EdgeOnly"]["quality"]["value"] == pytest.approx(small.mean())
    assert found["CloudOnly"]["quality"]["value"] == pytest.approx(large.mean())
    assert found["OracleRouter"]["quality"]["value"] == pytest.approx(
        np.maximum(small, large).mean()
    )
    stays = 1 - ((large > small).mean())
    assert found["OracleRouter"]["edge_share"]["value"] == pytest.approx(stays)
    assert result["systems"][0]["name"] == "OracleRouter"
    categories = result["systems"][0]["categories"]
    assert categories["sums"]["questions"] + categories["more sums"]["questions"] == 60
    assert result["sides"]["oracle"][0] == (1.0, pytest.approx(large.mean()))
    assert result["sides"]["oracle"][-1] == (0.0, pytest.approx(small.mean()))


def test_the_same_benchmark_gives_the_same_figures(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rows.jsonl")
    found = [done(Benchmark(name="b", data=path), tmp_path / str(n)) for n in range(2)]
    first, second = ({**each, "created": "", "seconds": 0} for each in found)
    assert first == second


def test_a_router_that_learned_from_the_same_rows_is_refused(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rows.jsonl", 120)
    train(path, "LinearRouter", tmp_path / "router")
    benchmark = Benchmark(
        name="b", data=path, systems=["CloudOnly", {"router": str(tmp_path / "router")}]
    )
    with pytest.raises(ConfigurationError, match=r"was trained on .*judge it by other rows"):
        done(benchmark, tmp_path / "out")


def test_shared_rows_are_found_though_the_files_differ(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rows.jsonl", 120)
    train(path, "LinearRouter", tmp_path / "router")
    lines = path.read_text().splitlines()
    row = json.loads(lines[7])
    row["query"] = f"  {row['query'].upper()} "
    (tmp_path / "test.jsonl").write_text(
        "\n".join([lines[0].replace("plus", "and"), json.dumps(row)])
    )
    benchmark = Benchmark(
        name="b",
        data=tmp_path / "test.jsonl",
        systems=["CloudOnly", {"router": str(tmp_path / "router")}],
    )
    with pytest.raises(ConfigurationError, match=r"1 rows are among .*test\.jsonl, line 2"):
        done(benchmark, tmp_path / "out")


def test_an_entry_says_what_its_router_was_trained_on(tmp_path: Path) -> None:
    train(recorded(tmp_path / "train.jsonl", 120), "LinearRouter", tmp_path / "router")
    test = tmp_path / "test.jsonl"
    test.write_text(recorded(tmp_path / "other").read_text().replace("plus", "times"))
    systems = ["CloudOnly", {"router": str(tmp_path / "router"), "name": "ours"}]
    benchmark = Benchmark(name="b", data=test, systems=systems)
    result = {**done(benchmark, tmp_path / "out"), "folder": str(tmp_path / "out")}
    write(result, tmp_path / "out")
    (ours,) = [e for e in entries(read_results([tmp_path])) if e["system"] == "ours"]
    assert ours["checked"] is True
    assert len(ours["router"]) == len(ours["trained_on"]) == len(ours["split"]) == 64
    (tmp_path / "router" / "training_rows.bin").unlink()
    again = done(benchmark, tmp_path / "again")
    (system,) = [s for s in again["systems"] if s["name"] == "ours"]
    assert system["provenance"]["checked"] is False
    with_file = {**systems[1], "trained_on": tmp_path / "train.jsonl"}  # type: ignore[dict-item]
    checked = done(
        benchmark.model_copy(
            update={
                "systems": Benchmark(name="b", data=test, systems=["CloudOnly", with_file]).systems
            }
        ),
        tmp_path / "third",
    )
    assert [s["provenance"]["checked"] for s in checked["systems"] if s["name"] == "ours"] == [True]


def test_another_file_than_the_training_is_refused(tmp_path: Path) -> None:
    train(recorded(tmp_path / "train.jsonl", 120), "LinearRouter", tmp_path / "router")
    test = tmp_path / "test.jsonl"
    test.write_text(recorded(tmp_path / "other").read_text().replace("plus", "times"))
    entry = {"router": str(tmp_path / "router"), "trained_on": test}
    with pytest.raises(ConfigurationError, match="is not the file that the router learned from"):
        done(Benchmark(name="b", data=test, systems=["CloudOnly", entry]), tmp_path / "out")


def test_a_run_keeps_every_row(tmp_path: Path) -> None:
    path = recorded(tmp_path / "rows.jsonl")
    done(Benchmark(name="b", data=path), tmp_path / "out")
    for name in ("EdgeOnly", "CloudOnly", "OracleRouter", "RandomRouter"):
        lines = (tmp_path / "out" / ROWS / f"{name}.jsonl").read_text().splitlines()
        assert len(lines) == 61
        assert {"id", "route", "quality"} <= json.loads(lines[1]).keys()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"systems": ["routed", "CloudOnly"]}, "routed needs whom to ask"),
        ({"baseline": "Ours"}, "'Ours' is not among the systems"),
    ],
)
def test_an_impossible_benchmark_is_refused_before_anything_is_written(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    path = recorded(tmp_path / "rows.jsonl")
    with pytest.raises(ConfigurationError, match=said):
        done(Benchmark.model_validate({"name": "b", "data": path, **fields}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_without_records_need_somebody_to_ask(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"query": "a", "answer": "b"}\n')
    with pytest.raises(ConfigurationError, match=r"q\.jsonl, line 1: how both models did"):
        done(Benchmark(name="b", data=path), tmp_path / "out")


def test_sets_together_keep_their_names(tmp_path: Path) -> None:
    data = [
        {"file": recorded(tmp_path / "a.jsonl", 10), "name": "a"},
        {"file": recorded(tmp_path / "b.jsonl", 20), "name": "b"},
    ]
    result = done(Benchmark(name="b", data=data), tmp_path / "out")  # type: ignore[arg-type]
    assert result["questions"] == 30
    assert [(d["name"], d["used"]) for d in result["data"]] == [("a", 10), ("b", 20)]
    lines = (tmp_path / "out" / ROWS / "EdgeOnly.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["id"] == "a/q0"


def test_a_benchmarks_paths_are_relative_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(
        "name: b\nmanifests: [up]\ndata: q.jsonl\nprices: p.yaml\n"
        "systems: [EdgeOnly, {router: mine}, {router: 'embedded:general'}]\n"
    )
    benchmark = read_benchmark(path)
    assert benchmark.manifests == (tmp_path / "up",)
    assert benchmark.data[0].file == tmp_path / "q.jsonl"
    assert benchmark.prices == tmp_path / "p.yaml"
    routers = [entry.router for entry in benchmark.systems]
    assert routers == [None, str(tmp_path / "mine"), "embedded:general"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: b\nmanifest: [x]", "manifest: Extra inputs"),
        ("name: b\nmanifests: [x]\nurl: http://y", "has manifests and url"),
        ("name: b\nconcurrency: 0", "concurrency: .*; fields: name, data"),
        ("name: b\nsort_by: [qualty]", "no metric 'qualty'.*quality"),
        ("name: b\nsystems: [{}]", "needs algorithm or router"),
        ("name: b\nsystems: [{algorithm: routed, threshold: 0.5}]", "takes no parameters"),
        ("name: b\nsystems: [{router: x, threshold: 2}]", "threshold"),
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


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    return done(Benchmark(name="b", data=recorded(folder / "rows.jsonl", 400)), folder / "out")


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_number_of_the_table_is_cut(
    result: dict[str, Any], width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Console(width=width).print(table(result, width))
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    quality = result["runs"]["RandomRouter"]["quality"]
    for shown in ("OracleRouter", f"{quality:.3f}", "at the edge", "less CloudOnly"):
        assert shown in printed


def test_rank_csv_has_the_columns_of_ianvs(result: dict[str, Any]) -> None:
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(rank_csv(result, selected=True))))
    assert list(rows[0])[:4] == ["rank", "algorithm", "Accuracy", "Edge Ratio"]
    edge = next(row for row in rows if row["hard_example_mining"] == "EdgeOnly")
    assert float(edge["Edge Ratio"]) == 100.0
    assert float(edge["Accuracy"]) == pytest.approx(100 * result["runs"]["EdgeOnly"]["quality"])
    assert edge["Throughput"] == ""
    whole = list(csv.DictReader(io.StringIO(rank_csv(result, selected=False))))
    assert float(whole[0]["quality_low"]) <= float(whole[0]["quality"])


def test_runs_side_by_side_are_ranked_by_split(
    result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write({**result, "folder": "x"}, _made(tmp_path / "one"))
    write({**result, "created": "2030-01-01T00:00", "folder": "y"}, _made(tmp_path / "two"))
    found = entries(read_results([tmp_path]))
    assert len({entry["split"] for entry in found}) == 1 and len(found) == 8
    (made,) = board(found)
    Console(width=160).print(made)
    assert "400 questions" in capsys.readouterr().out


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no result\.json there"):
        read_results([tmp_path])
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is not a result"):
        read_results([tmp_path])
