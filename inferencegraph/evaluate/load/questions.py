"""Rows of a JSON Lines file as what is asked: {query}, {inputs} or {messages}."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictors.embedded import TEST_QUESTIONS
from predictors.errors import ConfigurationError
from predictors.jsonl import read_query, read_rows


@dataclass(frozen=True, slots=True)
class Question:
    """One of the three; `where` names file and line."""

    where: str
    text: str | None = None
    inputs: Sequence[Mapping[str, Any]] | None = None
    messages: Sequence[Mapping[str, Any]] | None = None


def read_questions(path: Path | None) -> list[Question]:
    """Of the shipped test set where `path` is None. Raises ConfigurationError naming file and
    line."""
    source = path or TEST_QUESTIONS
    return [_question(row, f"{source}, line {number}") for number, row in read_rows(source)]


def _question(row: Mapping[str, Any], where: str) -> Question:
    if "inputs" in row:
        return Question(where, inputs=_objects(row, "inputs", ("name", "datatype", "data"), where))
    if "messages" in row:
        return Question(where, messages=_objects(row, "messages", ("role",), where))
    return Question(where, text=read_query(row, where))


def _objects(
    row: Mapping[str, Any], name: str, fields: Sequence[str], where: str
) -> Sequence[Mapping[str, Any]]:
    """Only the shape is checked; the server itself refuses what it does not take."""
    value = row[name]
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        raise ConfigurationError(f"{where}: {name!r} must be a list of objects")
    for item in value:
        for field in fields:
            if field not in item:
                raise ConfigurationError(f"{where}: one of {name!r} has no {field!r}")
    return value
