"""CombinedRouter: the query and the edge's telemetry on its answer, learned together."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.scripted_predictor import ScriptedPredictor
from tests.transformers_hem.v2 import request
from transformers_hem.algorithms.base import Batch
from transformers_hem.routers.combined.score import QUERY, CombinedParameters, CombinedRouter
from transformers_hem.routers.directory import CONFIG_FILE
from transformers_hem.routers.linear.score import WEIGHTS_FILE
from transformers_hem.routers.scoring import score_file
from transformers_hem.routers.training import train

Row = dict[str, object]


def rows(count: int) -> list[Row]:
    """Hard where the query says so and the edge is unsure of its answer; either alone is not."""
    rng = np.random.default_rng(0)
    made: list[Row] = []
    for number in range(count):
        long, unsure = rng.random() < 0.5, rng.random() < 0.5
        logprob = -2.0 + rng.normal(0, 0.2) if unsure else -0.2 + rng.normal(0, 0.02)
        made.append(
            {
                "query": f"A {'long' if long else 'short'} question, number {number}?",
                "edge_correct": not (long and unsure),
                "cloud_correct": True,
                "edge_mean_logprob": logprob,
                "edge_min_logprob": 2 * logprob,
            }
        )
    return made


def write(path: Path, made: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def opened(directory: Path) -> CombinedRouter:
    return CombinedRouter(CombinedParameters(router=str(directory)))


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("combined")
    metrics = train(write(room / "rows.jsonl", rows(300)), "CombinedRouter", room / "router")
    assert float(metrics["auroc"]) > 0.99
    return room / "router"


def test_it_needs_both_to_call_a_query_hard(router: Path) -> None:
    long, short = (f"A {length} question, number 999?" for length in ("long", "short"))
    batch = Batch(
        4,
        texts=(long, long, short, short),
        mean_logprob=np.array([-2.0, -0.2, -2.0, -0.2]),
        min_logprob=np.array([-4.0, -0.4, -4.0, -0.4]),
    )
    scores = opened(router).score(batch)
    assert (scores > 0.5).tolist() == [True, False, False, False]


def test_a_row_without_a_signal_has_no_score(router: Path) -> None:
    signals = {"mean_logprob": np.array([-0.1, np.nan]), "min_logprob": np.array([-0.2, -0.2])}
    scores = opened(router).score(Batch(2, texts=("a", "b"), **signals))
    assert np.isnan(scores).tolist() == [False, True]
    without = [
        Batch(2, texts=("a", "b"), mean_logprob=signals["mean_logprob"]),
        Batch(2, **signals),
    ]
    for batch in without:
        assert np.isnan(opened(router).score(batch)).all()


def test_a_row_without_telemetry_is_refused_by_its_line(tmp_path: Path) -> None:
    made = rows(20)
    del made[6]["edge_min_logprob"]
    data = write(tmp_path / "rows.jsonl", made)
    with pytest.raises(ConfigurationError, match=r"rows\.jsonl, line 7: .*'edge_min_logprob'"):
        train(data, "CombinedRouter", tmp_path / "router")
    assert list(tmp_path.iterdir()) == [data]


def test_a_margin_counts_where_every_row_has_one(tmp_path: Path) -> None:
    made = [{**row, "edge_mean_margin": 0.5} for row in rows(40)]
    train(write(tmp_path / "rows.jsonl", made), "CombinedRouter", tmp_path / "router")
    config = json.loads((tmp_path / "router" / CONFIG_FILE).read_text())
    assert config["signals"] == ["mean_logprob", "min_logprob", "mean_margin"]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", rows(40))
    for name in ("a", "b"):
        train(data, "CombinedRouter", tmp_path / name, seed=3)
    for name in (CONFIG_FILE, f"{QUERY}/{CONFIG_FILE}", f"{QUERY}/{WEIGHTS_FILE}"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_routers_query_part_is_refused(router: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", rows(40))
    train(data, "CombinedRouter", tmp_path / "router")
    config = (router / CONFIG_FILE).read_text()
    (tmp_path / "router" / CONFIG_FILE).write_text(config)
    with pytest.raises(ConfigurationError, match=r"query belongs to another config\.json"):
        opened(tmp_path / "router")


def test_a_file_is_scored_by_query_and_telemetry(router: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "rows.jsonl", [{"id": n, **row} for n, row in enumerate(rows(300))])
    assert score_file(router, data, tmp_path / "scores.jsonl") == 300
    scored = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    hard = [row["edge_correct"] is False for row in rows(300)]
    assert [row["score"] > 0.5 for row in scored] == hard


@pytest.mark.parametrize("value", [None, "-0.1", True])
def test_a_row_without_its_signal_is_not_scored(
    router: Path, tmp_path: Path, value: object
) -> None:
    made = [{"id": n, **row} for n, row in enumerate(rows(8))]
    made[5]["edge_min_logprob"] = value
    data = write(tmp_path / "rows.jsonl", made)
    with pytest.raises(
        ConfigurationError, match=r"line 6: no number in 'edge_min_logprob', which CombinedRouter"
    ):
        score_file(router, data, tmp_path / "scores.jsonl")
    assert list(tmp_path.iterdir()) == [data]


@pytest.fixture(scope="module")
def predictor() -> Iterator[ScriptedPredictor]:
    with ScriptedPredictor() as server:
        yield server


@pytest.fixture(scope="module")
def hem(start_server: StartServer, predictor: ScriptedPredictor) -> ServerProcess:
    arguments = ("--model_name", "m", "--predictor_host", predictor.host)
    settings = {"HEM_ALGORITHM": "CombinedRouter", "HEM_ROUTER": "embedded:combined"}
    return start_server("transformers_hem", *arguments, env=settings, ready="/v2/models/m/ready")


@pytest.mark.parametrize(
    ("query", "route", "reason"),
    [
        ("logprob -0.001", "edge", "algorithm"),
        ("logprob -3", "cloud", "algorithm"),
        ("bare", "cloud", "no_signal"),
    ],
)
def test_hem_serves_the_shipped_one_behind_a_predictor(
    hem: ServerProcess, query: str, route: str, reason: str
) -> None:
    url = f"{hem.url}/v2/models/m/infer"
    told = httpx.post(url, json=request(query), timeout=10).json()["parameters"]
    assert (told["hem_route"], told["hem_reason"]) == (route, reason)
    assert told["hem_algorithm"] == "CombinedRouter"
