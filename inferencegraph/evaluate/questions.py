"""The questions to evaluate on: the shipped test set, or a JSONL file.

Its rows are {query, answer}, or {inputs, answer} with the V2 inputs of one row; the answer to a
classifier is the number of the class.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from inferencegraph.evaluate.outcome import Item
from predictors.embedded import TEST_QUESTIONS
from predictors.errors import ConfigurationError
from predictors.jsonl import read_query, read_rows


def read_questions(path: Path | None, limit: int | None) -> list[Item]:
    """The first `limit` of them; None for all. Raises ConfigurationError naming the line."""
    source = path or TEST_QUESTIONS
    rows = islice(read_rows(source), limit)
    return [_item(row, f"{source}, line {number}") for number, row in rows]


def _item(row: Mapping[str, Any], where: str) -> Item:
    if not isinstance(row.get("answer"), str) or not row["answer"].strip():
        raise ConfigurationError(f"{where}: answer must be a non-empty string")
    if "inputs" in row:
        return Item(_inputs(row["inputs"], where), row["answer"])
    return Item.of_text(read_query(row, where), row["answer"])


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
