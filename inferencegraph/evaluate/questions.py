"""The questions to evaluate on: the shipped test set, or a JSONL file.

Its rows are {query, answer}, or {inputs, answer} with the V2 inputs of one row; the answer to a
classifier is the number of the class.
"""

import json
from pathlib import Path
from typing import Any

from inferencegraph.evaluate.outcome import Item
from predictors.errors import ConfigurationError


def read_questions(path: Path | None, limit: int | None) -> list[Item]:
    """The first `limit` of them; None for all. Raises ConfigurationError naming the line."""
    items = _shipped() if path is None else _read(path)
    if not items:
        raise ConfigurationError(f"{path}: no questions in it")
    return items[:limit]


def _shipped() -> list[Item]:
    from predictors.embedded.questions import test_questions

    return [Item.of_text(question.query, question.answer) for question in test_questions()]


def _read(path: Path) -> list[Item]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return [_item(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]


def _item(line: str, where: str) -> Item:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{where}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where}: not an object with query (or inputs) and answer")
    if not isinstance(row.get("answer"), str) or not row["answer"].strip():
        raise ConfigurationError(f"{where}: answer must be a non-empty string")
    if "inputs" in row:
        return Item(_inputs(row["inputs"], where), row["answer"])
    if not isinstance(row.get("query"), str) or not row["query"].strip():
        raise ConfigurationError(f"{where}: query must be a non-empty string")
    return Item.of_text(row["query"], row["answer"])


def _inputs(given: Any, where: str) -> list[dict[str, Any]]:
    """The shape of it only: what the model takes, the model says."""
    if not isinstance(given, list) or not given:
        raise ConfigurationError(f"{where}: inputs must be a list of V2 tensors")
    for tensor in given:
        fields = ("name", "datatype", "shape", "data")
        absent = [f for f in fields if not isinstance(tensor, dict) or f not in tensor]
        if absent:
            raise ConfigurationError(f"{where}: an input has no {absent[0]}")
    return given
