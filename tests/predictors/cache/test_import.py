"""Recorded answers: in a cache before anything is asked, or as an engine of their own."""

import json
from pathlib import Path

import pytest

from predictors.engines.recorded.recordings import read_recordings
from predictors.errors import ConfigurationError
from tests.conftest import ServerProcess, StartServer
from tests.predictors.cache.conftest import Start, answers, infer

ROWS = [
    {"query": "1 + 1?", "text": "2", "mean_logprob": -0.25, "inter_token_latency": 9.0},
    {"query": "sum?", "text": "short", "parameters": {"max_tokens": 4}, "served_by": "big"},
    {"query": "sum?", "text": "long", "parameters": {"max_tokens": "512"}},
    {"query": "Ünïcode?", "text": "ja", "completion_tokens": 3, "id": 7},
]


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return path


@pytest.fixture(scope="module")
def recorded(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    path = write(tmp_path_factory.mktemp("recorded") / "answers.jsonl", *ROWS)
    return start_server(
        *("predictors", "--model_name", "m", "--engine", "recorded"),
        *("--recordings", str(path), "--temperature", "0"),
        ready="/v2/models/m/ready",
    )


def test_a_cache_starts_with_them_and_computes_the_rest(counting: Start, tmp_path: Path) -> None:
    path = write(tmp_path / "answers.jsonl", *ROWS)
    server = counting("--cache", "memory", "--cache_import", str(path))
    batch = infer(server, "1 + 1?", "2 + 2?", "sum?")
    assert batch["text_output"] == ["2", "2 + 2? #1", "long"]
    assert answers(server, "sum?", max_tokens=4) == ["short"]
    alone = infer(server, "1 + 1?")
    assert (alone["cached"], alone["mean_logprob"]) == (True, [-0.25])
    assert 0 < alone["time_to_first_token"][0] < 1
    assert alone["inter_token_latency"] == [0]


def test_a_recorded_model_answers_without_one(recorded: ServerProcess) -> None:
    batch = infer(recorded, "1 + 1?", "Ünïcode?")
    assert batch["text_output"] == ["2", "ja"]
    assert batch["cached"] is True
    assert max(batch["time_to_first_token"]) < 1
    assert "mean_logprob" not in batch, "only one of the rows has it"
    assert infer(recorded, "1 + 1?")["mean_logprob"] == [-0.25]


def test_its_rows_are_told_apart_by_the_parameters_that_they_have(recorded: ServerProcess) -> None:
    assert infer(recorded, "sum?", max_tokens=4)["served_by"] == "big"
    assert answers(recorded, "sum?") == ["long"]
    assert (
        "has no answer with these parameters to 'sum?'"
        in (infer(recorded, "sum?", max_tokens=5)["error"])
    )


def test_a_query_that_was_not_recorded_is_an_error_that_shows_it(recorded: ServerProcess) -> None:
    error = infer(recorded, "never asked " * 10)["error"]
    assert error.endswith("has no answer at all to " + repr(("never asked " * 10)[:57] + "..."))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"query": "q"}', "text must be a string, not None"),
        ('{"text": "t"}', "'query' must be a non-empty string"),
        ('{"query": " ", "text": "t"}', "'query' must be a non-empty string"),
        ('{"query": "q", "text": "t", "mean_logprobs": 1}', "did you mean 'mean_logprob'"),
        ('{"query": "q", "text": "t", "prompt_tokens": 1.5}', "'prompt_tokens' must be a number"),
        ('{"query": "q", "text": "t", "served_by": 1}', "served_by must be a string, not 1"),
        ('{"query": "q", "text": "t", "parameters": []}', None),
        ('{"query": "q", "text": "t", "parameters": [1]}', "parameters must be an object"),
        ('{"query": "q", "text": "t", "parameters": {"top_p": 2}}', "top_p must be a number"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str, fault: str | None) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"query": "a", "text": "b"}\n' + row + "\n")
    if fault is None:
        assert len(list(read_recordings(path))) == 2
    else:
        with pytest.raises(ConfigurationError, match=f"answers.jsonl, line 2: .*{fault}"):
            list(read_recordings(path))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ConfigurationError, match=r"empty.jsonl has no rows"):
        list(read_recordings(tmp_path / "empty.jsonl"))
