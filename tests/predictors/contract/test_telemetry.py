"""Telemetry in rows of files is what the contract's tensors can hold, whoever reads it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from predictors.contract import Answer, row_telemetry
from predictors.engines.recorded.recordings import read_recordings
from predictors.errors import ConfigurationError
from transformers_hem.labels.question import read_questions

WRONG: Final = [
    ("prompt_tokens", 3_000_000_000),
    ("completion_tokens", 1.5),
    ("completion_tokens", 7.0),
    ("completion_tokens", -1),
    ("prompt_tokens", True),
    ("prompt_tokens", "7"),
    ("mean_logprob", "-0.5"),
    ("mean_logprob", False),
    ("min_logprob", 1e39),
    ("min_logprob", -1e300),
    ("mean_margin", [0.5]),
    ("time_to_first_token", {"seconds": 1}),
]


def recorded(path: Path, telemetry: dict[str, Any]) -> list[Any]:
    path.write_text(json.dumps({"query": "q", "text": "a", **telemetry}))
    return [recording.answer for recording in read_recordings(path)]


def asked(path: Path, telemetry: dict[str, Any]) -> list[Any]:
    row = {f"edge_{name}": value for name, value in telemetry.items()}
    path.write_text(json.dumps({"query": "q", "edge_answer": "a", **row}))
    return [question.answers["edge"] for question in read_questions(path, None)]


READERS: Final[dict[str, Callable[[Path, dict[str, Any]], list[Any]]]] = {
    "recorded": recorded,
    "question": asked,
}


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_what_is_no_telemetry(
    tmp_path: Path, reader: str, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=rf"rows, line 1: '(edge_)?{name}' must be a "):
        READERS[reader](tmp_path / "rows", {name: value})


@pytest.mark.parametrize("reader", READERS)
def test_a_null_is_as_good_as_absent(tmp_path: Path, reader: str) -> None:
    telemetry = {"mean_logprob": -0.5, "prompt_tokens": 7, "min_logprob": None}
    (answer,) = READERS[reader](tmp_path / "rows", telemetry)
    assert answer == Answer("a", prompt_tokens=7, mean_logprob=-0.5)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_nan_is_no_telemetry(tmp_path: Path, value: str) -> None:
    path = tmp_path / "rows"
    path.write_text(f'{{"query": "q", "text": "a", "mean_logprob": {value}}}')
    with pytest.raises(ConfigurationError, match="line 1"):
        list(read_recordings(path))


def test_only_the_names_that_are_asked_for_are_read() -> None:
    row = {"edge_mean_logprob": -1, "edge_prompt_tokens": 1.5, "cloud_mean_logprob": "x"}
    assert row_telemetry(row, "here", "edge_", ["mean_logprob"]) == {"mean_logprob": -1}
