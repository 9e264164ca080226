"""CombinedRouter on the first tokens of answers: trained, scored, calibrated and served as such."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Batch
from transformers_hem.calibration.calibrate import calibrate
from transformers_hem.calibration.sample import read_sample
from transformers_hem.calibration.targets import EdgeRatio
from transformers_hem.routers.combined.score import QUERY
from transformers_hem.routers.directory import CONFIG_FILE
from transformers_hem.routers.scoring import open_router, score_file
from transformers_hem.routers.training import train

Row = dict[str, Any]


def rows(count: int, seed: int = 0) -> list[Row]:
    """Two tokens tell whether the answer is right; the first alone, and the whole, tell nothing."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        unsure = rng.random() < 0.5
        first, whole = -rng.exponential(1, 2)
        second = float(rng.normal(-2.0 if unsure else -0.2, 0.05))
        prefixes = [
            {"tokens": 1, "mean_logprob": first, "min_logprob": first, "text": "a"},
            {"tokens": 2, "mean_logprob": second, "min_logprob": second, "text": "ab"},
        ]
        made.append(
            {
                "id": number,
                "query": f"Question {rng.integers(10**6)}?",
                "edge_answer": "abc",
                "edge_correct": bool(rng.random() > (0.95 if unsure else 0.02)),
                "cloud_correct": True,
                "edge_mean_logprob": whole,
                "edge_min_logprob": 2 * whole,
                "edge_prefixes": prefixes,
            }
        )
    return made


def write(path: Path, made: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("prefixes")
    data = write(room / "train.jsonl", rows(300))
    for tokens in (None, 1, 2):
        train(data, "CombinedRouter", room / f"router-{tokens}", prefix_tokens=tokens)
    write(room / "held-out.jsonl", rows(600, seed=1))
    return room


def config(router: Path) -> Row:
    read: Row = json.loads((router / CONFIG_FILE).read_text())
    return read


@pytest.mark.parametrize(("tokens", "learned"), [(None, False), (1, False), (2, True)])
def test_it_learns_from_the_prefix_that_is_named_and_no_other(
    folder: Path, tokens: int | None, learned: bool
) -> None:
    metrics = config(folder / f"router-{tokens}")["metrics"]
    assert (metrics["auroc"] > 0.9) is learned
    assert ("of the first 2 tokens" in metrics["learner"]) is learned


def test_its_directory_says_what_it_decides_on(folder: Path) -> None:
    for tokens in (None, 1, 2):
        router = folder / f"router-{tokens}"
        assert config(router)["prefix_tokens"] == tokens
        assert config(router / QUERY)["prefix_tokens"] is None
        assert open_router(str(router)).prefix_tokens == tokens


def test_a_router_of_the_last_release_decides_on_whole_answers() -> None:
    assert open_router("embedded:combined").prefix_tokens is None


def test_scores_of_a_file_are_those_of_its_prefixes(folder: Path, tmp_path: Path) -> None:
    data, router = folder / "held-out.jsonl", folder / "router-2"
    score_file(router, data, tmp_path / "scores")
    scored = [json.loads(line)["score"] for line in (tmp_path / "scores").read_text().splitlines()]
    seconds = [row["edge_prefixes"][1] for row in rows(600, seed=1)]
    batch = Batch(
        600,
        texts=tuple(row["query"] for row in rows(600, seed=1)),
        mean_logprob=np.array([prefix["mean_logprob"] for prefix in seconds]),
        min_logprob=np.array([prefix["min_logprob"] for prefix in seconds]),
    )
    assert scored == pytest.approx(open_router(str(router)).score(batch))


def test_a_calibration_stands_on_prefixes_and_says_so(folder: Path) -> None:
    router = open_router(str(folder / "router-2"))
    sample = read_sample(folder / "held-out.jsonl", router)
    unsure = np.array([row["edge_prefixes"][1]["mean_logprob"] < -1 for row in sample.rows])
    assert sample.scores[unsure].min() > sample.scores[~unsure].max()
    promise = calibrate(router, sample, EdgeRatio(0.5), 0.9).promise
    assert promise.endswith("from 600 rows; decided on the first 2 tokens of each answer")


def without(row: Row, tokens: int) -> Row:
    kept = [prefix for prefix in row["edge_prefixes"] if prefix["tokens"] != tokens]
    return {**row, "edge_prefixes": kept}


FAULT = r"line 5: no prefix of 2 tokens in 'edge_prefixes', only of 1; `hem label --prefix-tokens 2"


def test_a_row_without_the_prefix_is_named_whoever_reads_it(folder: Path, tmp_path: Path) -> None:
    made = rows(40)
    made[4] = without(made[4], 2)
    data, router = write(tmp_path / "rows.jsonl", made), folder / "router-2"
    with pytest.raises(ConfigurationError, match=FAULT):
        train(data, "CombinedRouter", tmp_path / "router", prefix_tokens=2)
    with pytest.raises(ConfigurationError, match=FAULT):
        read_sample(data, open_router(str(router)))
    with pytest.raises(ConfigurationError, match=FAULT):
        score_file(router, data, tmp_path / "scores")
    assert list(tmp_path.iterdir()) == [data]


def test_a_prefix_without_its_signal_is_named_and_never_easy(folder: Path, tmp_path: Path) -> None:
    made = rows(40)
    del made[4]["edge_prefixes"][1]["min_logprob"]
    data, router = write(tmp_path / "rows.jsonl", made), open_router(str(folder / "router-2"))
    fault = r"line 5: no number in 'edge_min_logprob' of the first 2 tokens, which"
    with pytest.raises(ConfigurationError, match=fault):
        train(data, "CombinedRouter", tmp_path / "router", prefix_tokens=2)
    with pytest.raises(ConfigurationError, match=fault):
        score_file(folder / "router-2", data, tmp_path / "scores")
    assert np.flatnonzero(np.isinf(read_sample(data, router).scores)).tolist() == [4]


def test_rows_of_whole_answers_alone_are_refused(folder: Path, tmp_path: Path) -> None:
    made = [{**row, "edge_prefixes": None} for row in rows(40)]
    data = write(tmp_path / "rows.jsonl", made)
    fault = "line 1: no prefix of 2 tokens in 'edge_prefixes'; `hem label"
    with pytest.raises(ConfigurationError, match=fault):
        read_sample(data, open_router(str(folder / "router-2")))


@pytest.mark.parametrize("algorithm", ["LinearRouter", "KernelRouter"])
def test_a_router_that_sees_no_answer_is_not_trained_on_its_beginning(
    folder: Path, tmp_path: Path, algorithm: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"as CombinedRouter does; {algorithm} mines the"):
        train(folder / "train.jsonl", algorithm, tmp_path / "router", prefix_tokens=2)
    assert list(tmp_path.iterdir()) == []


def test_the_file_that_it_was_trained_on_promises_nothing_for_any_prefix(folder: Path) -> None:
    for tokens in (1, 2):
        with pytest.raises(ConfigurationError, match="is the file that this router was trained on"):
            read_sample(folder / "train.jsonl", open_router(str(folder / f"router-{tokens}")))
