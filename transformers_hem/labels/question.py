"""The questions to label, from a JSONL file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson

from predictors.contract import (
    CLOUD,
    EDGE,
    Answer,
    row_telemetry,
)
from predictors.errors import ConfigurationError
from predictors.jsonl import read_query, read_references, read_rows, require_new
from transformers_hem.labels.prefixes import Prefix, read_prefixes

Side = Literal["edge", "cloud"]
SIDES: Final[tuple[Side, Side]] = (EDGE, CLOUD)


@dataclass(frozen=True, slots=True)
class Question:
    """`references` are answers that are right, none where the row has none; `reference` is the
    row's own value. `answers` are those that the row brings along, `prefixes` the beginnings of the
    edge's. `fingerprint` is of the texts, `where` the file and line."""

    id: str | int
    query: str
    reference: Any
    references: tuple[str, ...]
    answers: Mapping[Side, Answer]
    fingerprint: str
    where: str
    prefixes: tuple[Prefix, ...] = ()


def read_questions(path: Path, limit: int | None, seed: int | None = None) -> list[Question]:
    """Rows {id?, query, reference?, edge_answer?, edge_prefixes?, cloud_answer?}, the first
    `limit`, or as many drawn by `seed`, in their order.

    `answer` is another name of `reference`: a string, a number or a list of those. A row without
    an id gets one made of its content, so that it keeps it when the file grows. Raises
    ConfigurationError with the line.
    """
    seen: dict[object, int] = {}
    questions: list[Question] = []
    for number, row in read_rows(path):
        require_new(row.get("id"), seen, path, number)
        question = read_question(row, f"{path}, line {number}")
        if row.get("id") is None:
            require_new(question.id, seen, path, number)
        questions.append(question)
    if limit is None or seed is None or limit >= len(questions):
        return questions[:limit]
    drawn = np.random.default_rng(seed).permutation(len(questions))[:limit]
    return [questions[index] for index in np.sort(drawn)]


def read_question(row: Mapping[str, Any], where: str) -> Question:
    """`where` names file and line. Raises ConfigurationError."""
    query = read_query(row, where)
    value, references = read_references(row, where)
    answers = {side: a for side in SIDES if (a := _answer(row, side, where)) is not None}
    content = orjson.dumps([query, references, {side: a.text for side, a in answers.items()}])
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    name = fingerprint if row.get("id") is None else row["id"]
    prefixes = read_prefixes(row, where) if EDGE in answers else ()
    return Question(name, query, value, references, answers, fingerprint, where, prefixes)


def _answer(row: Mapping[str, Any], side: Side, where: str) -> Answer | None:
    text = row.get(f"{side}_answer")
    if text is None:
        return None
    if not isinstance(text, str):
        raise ConfigurationError(f"{where}: '{side}_answer' must be a string, not {text!r:.80}")
    return Answer(text, **row_telemetry(row, where, f"{side}_"))
