"""`hem train` and `hem score`: what comes out, and what bad data is answered with."""

import errno
import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.directory import CONFIG_FILE, new_directory
from transformers_hem.routers.linear.score import (
    WEIGHTS_FILE,
    LinearModel,
    link,
)
from transformers_hem.routers.scoring import open_router, score_file
from transformers_hem.routers.training import train

Rows = list[dict[str, object]]


def labelled(count: int, seed: int = 0) -> Rows:
    """Sums of long numbers are hard for the edge, now and then for the cloud."""
    rng = random.Random(seed)
    rows: Rows = []
    for number in range(count):
        long = number % 2 == 1
        low, high = (1000, 99999) if long else (1, 99)
        query = f"What is {rng.randint(low, high)} + {rng.randint(low, high)}?"
        right = rng.random() < (0.05 if long else 0.97)
        rows.append({"query": query, "edge_correct": right, "cloud_correct": rng.random() < 0.97})
    return rows


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Rows | str], Path]:
    def write(rows: Rows | str) -> Path:
        path = tmp_path / "rows.jsonl"
        lines = rows if isinstance(rows, str) else "".join(json.dumps(r) + "\n" for r in rows)
        path.write_text(lines)
        return path

    return write


def test_a_router_learns_what_is_hard(written: Callable[[Rows], Path], tmp_path: Path) -> None:
    metrics = train(written(labelled(400)), "LinearRouter", tmp_path / "router")
    assert float(metrics["auroc"]) > 0.9
    assert 0.4 < float(metrics["edge_share"]) < 0.6
    assert float(metrics["routed_quality"]) >= 0.97 * float(metrics["cloud_quality"])
    router = open_router(str(tmp_path / "router"))
    scores = router.score(Batch(2, texts=("What is 7 + 81?", "What is 70012 + 8123?")))
    assert router.default_threshold == metrics["threshold"]
    assert scores[0] < float(metrics["threshold"]) < scores[1]


def test_the_same_seed_gives_the_same_bytes(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    data = written(labelled(60))
    train(data, "LinearRouter", tmp_path / "a", limit=40, seed=3)
    train(data, "LinearRouter", tmp_path / "b", limit=40, seed=3)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    config = json.loads((tmp_path / "a" / CONFIG_FILE).read_text())
    assert (config["rows"], config["seed"], config["version"]) == (40, 3, 2)


def test_compressed_rows_have_the_fingerprint_of_plain_ones(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    data = written(labelled(20))
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(data.read_bytes()))
    fingerprints = set()
    for source in (data, packed):
        train(source, "LinearRouter", tmp_path / "router")
        config = json.loads((tmp_path / "router" / CONFIG_FILE).read_text())
        fingerprints.add(config["data_sha256"])
    assert len(fingerprints) == 1


def test_eight_rows_with_graded_scores_are_enough(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    rows: Rows = [
        {"query": f"question {i}", "edge_score": 3 + i, "cloud_score": 6.5} for i in range(8)
    ]
    train(written(rows), "LinearRouter", tmp_path / "router")
    score = LinearModel.load(tmp_path / "router").score("question 1")
    assert 0 <= score <= 1


def test_a_cloud_that_is_always_right_is_learned_from_too(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    rows = [{**row, "cloud_correct": True} for row in labelled(100)]
    assert float(train(written(rows), "LinearRouter", tmp_path / "router")["auroc"]) > 0.9


def test_two_chances_of_being_right_make_one_difficulty() -> None:
    assert link("difference", (0.0, 0.0)) == 0.5
    assert link("difference", (-1000.0, 1000.0)) == 1.0
    assert link("difference", (1000.0, -1000.0)) == 0.0


GOOD = '{"query": "q", "edge_correct": true, "cloud_correct": false}\n'


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "has no rows"),
        (GOOD + "{\n", "line 2: not JSON"),
        (GOOD + "[1]\n", "line 2: must be a JSON object"),
        (GOOD + '{"query": "q"}\n', "line 2: has no labels"),
        (GOOD + '{"query": "", "edge_correct": 1, "cloud_correct": 1}\n', "line 2: 'query'"),
        (GOOD + '{"query": "q", "edge_correct": 1}\n', "line 2: 'cloud_correct'"),
        (GOOD + '{"query": "q", "edge_correct": 2, "cloud_correct": 1}\n', "line 2: 'edge_corr"),
        (GOOD + '{"query": "q", "edge_score": NaN, "cloud_score": 1}\n', "line 2: not JSON"),
        (GOOD + '{"query": "q", "edge_score": "a", "cloud_score": 1}\n', "line 2: 'edge_score'"),
        (GOOD + '{"query": "q", "edge_score": 1, "cloud_score": 1}\n', "line 2: edge_score where"),
        (GOOD * 5, "5 labelled rows are too few"),
        (GOOD * 20, "one class only: the cloud does better on 0 of 20"),
    ],
)
def test_bad_data_is_told_in_one_line_and_leaves_nothing(
    written: Callable[[str], Path], tmp_path: Path, content: str, fault: str
) -> None:
    data = written(content)
    with pytest.raises(ConfigurationError, match=fault) as raised:
        train(data, "LinearRouter", tmp_path / "router")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == [data]


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"rows\.jsonl can't be read: No such file"):
        train(tmp_path / "rows.jsonl", "LinearRouter", tmp_path / "router")
    (tmp_path / "rows.gz").write_bytes(gzip.compress(GOOD.encode() * 20)[:-9])
    with pytest.raises(ConfigurationError, match=r"rows\.gz is damaged gzip"):
        train(tmp_path / "rows.gz", "LinearRouter", tmp_path / "router")


def test_only_what_can_be_trained_is_trained(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"unknown trainable algorithm 'Random'; known: .*LinearRouter"
    ):
        train(tmp_path / "rows.jsonl", "Random", tmp_path / "router")


def test_a_router_replaces_a_router_and_nothing_else(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    data = written(labelled(20))
    train(data, "LinearRouter", tmp_path / "router")
    train(data, "LinearRouter", tmp_path / "router", seed=1)
    assert LinearModel.load(tmp_path / "router").config.seed == 1
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    with pytest.raises(ConfigurationError, match="thesis exists and is not a router directory"):
        train(data, "LinearRouter", tmp_path / "thesis")


@pytest.mark.parametrize("algorithm", ["LinearRouter", "CombinedRouter"])
@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("file/router", "file/router can't be written: Not a directory"),
        ("file/far/router", "file/far/router can't be written: Not a directory"),
        ("n" * 256, "can't be written: File name too long"),
        ("/proc/router", "/proc/router can't be written: "),
        ("/sys/router", "/sys/router can't be written: "),
        (".", ". is the working directory, which can't be replaced"),
        ("file", "file exists and is not a router directory"),
        ("link", "link exists and is not a router directory"),
    ],
)
def test_a_place_that_can_take_no_router_is_told_before_anything_is_learned(
    written: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    algorithm: str,
    out: str,
    fault: str,
) -> None:
    unlearnable = written(GOOD * 20)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here" if out == "." else tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match=fault) as raised:
        train(unlearnable, algorithm, Path(out))
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_may_be_as_long_as_the_file_system_allows(
    written: Callable[[Rows], Path], tmp_path: Path
) -> None:
    train(written(labelled(20)), "LinearRouter", tmp_path / "far" / ("n" * 255))
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["n" * 255]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_leaves_the_old_router(router: Path, number: int) -> None:
    before = (router / CONFIG_FILE).read_bytes()
    fault = "router can't be written: "
    with pytest.raises(ConfigurationError, match=fault), new_directory(router) as aside:
        (aside / CONFIG_FILE).touch()
        raise OSError(number, os.strerror(number))
    assert (router / CONFIG_FILE).read_bytes() == before
    assert not [path for path in router.parent.iterdir() if path.name.startswith(".")]


def test_an_older_router_stays_where_its_successor_cannot_come(router: Path) -> None:
    fault = "router can't be written: No such file"
    with pytest.raises(ConfigurationError, match=fault), new_directory(router) as aside:
        aside.rmdir()
    LinearModel.load(router)


def test_what_goes_wrong_in_the_work_is_not_blamed_on_the_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_directory(tmp_path / "router"):
        (tmp_path / "weights").read_bytes()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 2**32, 5_000_000_000])
def test_a_seed_out_of_range_is_refused(tmp_path: Path, seed: int) -> None:
    fault = f"a seed must be between 0 and 4294967295, not {seed}"
    with pytest.raises(ConfigurationError, match=fault):
        train(tmp_path / "rows.jsonl", "LinearRouter", tmp_path / "router", seed=seed)


def test_the_largest_seed_trains(written: Callable[[Rows], Path], tmp_path: Path) -> None:
    train(written(labelled(20)), "LinearRouter", tmp_path / "router", limit=19, seed=2**32 - 1)
    assert LinearModel.load(tmp_path / "router").config.seed == 2**32 - 1


@pytest.mark.parametrize(
    ("recipe", "arguments", "fault"),
    [
        ("pair", ("--seed", "-1"), "a seed must be between 0 and 4294967295, not -1"),
        ("best", ("--data", "none"), "none/mmlu_mixtral_gpt4.jsonl.gz can't be read"),
        ("general", ("--data", "none"), "none/mmlu_mixtral_gpt4.jsonl.gz can't be read"),
        ("general", (), "general needs --data"),
    ],
)
def test_the_script_of_the_shipped_routers_refuses_as_hem_train_does(
    tmp_path: Path, recipe: str, arguments: tuple[str, ...], fault: str
) -> None:
    script = "transformers_hem.embedded.workshop.train"
    command = [sys.executable, "-m", script, recipe, *arguments]
    shown = subprocess.run(
        [*command, "--out", str(tmp_path / "router")], capture_output=True, text=True, cwd=ROOT
    )
    assert shown.returncode == 2
    assert fault in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def router(written: Callable[[Rows], Path], tmp_path: Path) -> Path:
    train(written(labelled(20)), "LinearRouter", tmp_path / "router")
    return tmp_path / "router"


@pytest.mark.parametrize(
    ("name", "damage", "fault"),
    [
        (WEIGHTS_FILE, lambda content: content[:-50], "weights.safetensors is damaged"),
        (WEIGHTS_FILE, None, "weights.safetensors: No such file"),
        (CONFIG_FILE, lambda content: content[:-50], "config.json names no algorithm"),
        (CONFIG_FILE, lambda c: c.replace(b'"version": 2', b'"version": 1'), "version: Input"),
        (CONFIG_FILE, lambda c: c.replace(b'"seed"', b'"sead"'), "config.json: seed: is required"),
        (CONFIG_FILE, None, "config.json: No such file.*hem train"),
    ],
)
def test_a_damaged_router_is_refused(
    router: Path, name: str, damage: Callable[[bytes], bytes] | None, fault: str
) -> None:
    if damage is None:
        (router / name).unlink()
    else:
        (router / name).write_bytes(damage((router / name).read_bytes()))
    with pytest.raises(ConfigurationError, match=fault) as raised:
        open_router(str(router))
    assert "\n" not in str(raised.value)


def test_a_file_of_queries_is_scored_in_its_order(router: Path, tmp_path: Path) -> None:
    queries = [f"What is {i} + {i * 1000}?" for i in range(600)]
    data = tmp_path / "queries.jsonl"
    data.write_text(
        "".join(json.dumps({"id": i, "query": q}) + "\n" for i, q in enumerate(queries))
    )
    assert score_file(router, data, tmp_path / "scores.jsonl.gz") == 600
    lines = gzip.decompress((tmp_path / "scores.jsonl.gz").read_bytes()).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == list(range(600))
    served = open_router(str(router)).score(Batch(600, texts=tuple(queries)))
    assert np.array([row["score"] for row in rows]) == pytest.approx(served, abs=1e-12)


def test_two_queries_of_one_id_are_not_scored(router: Path, tmp_path: Path) -> None:
    data = tmp_path / "queries.jsonl"
    data.write_text('{"id": 1, "query": "q"}\n{"id": "1", "query": "q"}\n{"id": 1, "query": "r"}\n')
    with pytest.raises(ConfigurationError, match=r"line 3: id 1 is line 1's too"):
        score_file(router, data, tmp_path / "scores.jsonl")


def test_a_bad_query_leaves_the_old_scores(router: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "queries.jsonl", tmp_path / "scores.jsonl"
    data.write_text('{"id": "a", "query": "q"}\n{"id": null, "query": "q"}\n')
    out.write_text("old")
    with pytest.raises(ConfigurationError, match="line 2: 'id'"):
        score_file(router, data, out)
    assert out.read_text() == "old"
    with pytest.raises(ConfigurationError, match="can't be written"):
        data.write_text('{"id": "a", "query": "q"}\n')
        score_file(router, data, tmp_path / "missing" / "scores.jsonl")
