"""The questions to evaluate on: the shipped test set, or a JSONL file of {query, answer}."""

import json
from pathlib import Path

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

    return [Item(question.query, question.answer) for question in test_questions()]


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
        raise ConfigurationError(f"{where}: not an object with query and answer")
    for name in ("query", "answer"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise ConfigurationError(f"{where}: {name} must be a non-empty string")
    return Item(row["query"], row["answer"])
