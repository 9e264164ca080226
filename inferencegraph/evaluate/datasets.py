"""Data sets: files of questions, with what both models did on them where a file has it.

Rows are JSON Lines {query, reference}, or {inputs, answer} with the V2 inputs of one row, as
`hem label` and `hem import` write them; the answer to a classifier is the number of the class.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from inferencegraph.evaluate.outcome import SIGNALS, Outcome, tokens_of
from predictors.contract import EDGE, Answer, Scalar, is_number, row_telemetry, text_request
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_query, read_references, read_rows, require_new
from transformers_hem.labels.labels import LABELS
from transformers_hem.labels.question import SIDES, Question, Side

# Fields that name a row's kind, for tables by category; the first that is there.
CATEGORIES: Final = ("category", "subject", "family", "task", "level_4_dim")
_PREFIXES: Final = "edge_prefixes"


@dataclass(frozen=True, slots=True)
class Item:
    """One question. `row` is as the file has it; `recorded`: what either side did, where the row
    tells how good its answer is."""

    question: Question
    inputs: Sequence[Mapping[str, Any]]
    category: str
    row: Mapping[str, Any]
    recorded: Mapping[Side, Outcome]

    def request(self, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
        return {"inputs": list(self.inputs), "parameters": dict(parameters)}


@dataclass(frozen=True, slots=True)
class DataSet:
    """`sha256` is of the file's uncompressed content; `rows` of it before `limit`."""

    name: str
    path: Path
    sha256: str
    items: Sequence[Item]
    rows: int

    @property
    def recorded(self) -> bool:
        """Whether every row tells how both models did."""
        return all(len(item.recorded) == len(SIDES) for item in self.items)


def read_data(path: Path, name: str = "", limit: int | None = None, seed: int = 0) -> DataSet:
    """All rows, or `limit` of them, drawn by `seed`, in their order.

    Raises ConfigurationError naming the line.
    """
    content = read_content(path)
    seen: dict[object, int] = {}
    items: list[Item] = []
    for number, row in read_rows(path, content):
        item = _item(row, f"{path}, line {number}")
        require_new(item.question.id, seen, path, number)
        items.append(item)
    _require_alike(items)
    rows = len(items)
    if limit is not None and limit < rows:
        drawn = np.random.default_rng(seed).permutation(rows)[:limit]
        items = [items[index] for index in np.sort(drawn)]
    sha256 = hashlib.sha256(content).hexdigest()
    return DataSet(name or path.name.partition(".")[0], path, sha256, items, rows)


def _item(row: Mapping[str, Any], where: str) -> Item:
    value, references = read_references(row, where)
    if "inputs" in row:
        inputs, query = _tensors(row, where), ""
    else:
        query = read_query(row, where)
        inputs = text_request([query])["inputs"]
    recorded = {side: made for side in SIDES if (made := _recorded(row, side, where)) is not None}
    if not references and len(recorded) < len(SIDES):
        raise ConfigurationError(
            f"{where}: no 'answer' or 'reference', the text that is right; nor edge_correct and "
            "cloud_correct, or edge_score and cloud_score"
        )
    content = orjson.dumps([query or inputs, references])
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    name = fingerprint if row.get("id") is None else row["id"]
    question = Question(name, query, value, references, {}, fingerprint, where)
    category = next((str(row[field]) for field in CATEGORIES if row.get(field)), "")
    return Item(question, inputs, category, row, recorded)


def _tensors(row: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """Only the shape is checked; the model itself refuses what it does not take."""
    inputs = row["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise ConfigurationError(f"{where}: inputs must be a list of V2 tensors")
    for tensor in inputs:
        for field in ("name", "datatype", "shape", "data"):
            if not isinstance(tensor, dict) or field not in tensor:
                raise ConfigurationError(f"{where}: an input has no {field}")
    return inputs


def _recorded(row: Mapping[str, Any], side: Side, where: str) -> Outcome | None:
    """What the row says of that side's answer; None where it doesn't say how good it is."""
    error = row.get(f"{side}_error")
    quality = next(
        (row[name] for pair in LABELS for name in pair if name in row and name.startswith(side)),
        None,
    )
    if quality is None and error is None:
        return None
    if error is None and not isinstance(quality, bool) and not is_number(quality):
        raise ConfigurationError(f"{where}: the {side}'s label must be a number, not {quality!r}")
    text = row.get(f"{side}_answer")
    if text is not None and not isinstance(text, str):
        raise ConfigurationError(f"{where}: '{side}_answer' must be a string, not {text!r:.80}")
    seconds = row.get(f"{side}_latency")
    answer = Answer(text or "", **row_telemetry(row, where, f"{side}_"))
    return Outcome(
        route=side,
        text=text,
        quality=None if error is not None or quality is None else float(quality),
        error=None if error is None else str(error),
        served_by=row.get(f"{side}_model") or side,
        seconds=float(seconds) if seconds is not None and is_number(seconds) else None,
        time_to_first_token=answer.time_to_first_token,
        inter_token_latency=answer.inter_token_latency,
        edge_row=_told(row) if side == EDGE else {},
        **tokens_of(side, answer),
    )


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("edge_answer", *(f"edge_{name}" for name in SIGNALS), _PREFIXES)
    return {name: row[name] for name in names if name in row}


def _require_alike(items: Sequence[Item]) -> None:
    """Correctness and graded scores are on two scales."""
    kinds: dict[tuple[str, str], str] = {}
    for item in items:
        for pair in LABELS:
            if pair[0] in item.row and pair[1] in item.row:
                kinds.setdefault(pair, item.question.where)
    if len(kinds) > 1:
        (first, _), (other, where) = kinds.items()
        raise ConfigurationError(f"{where}: {other[0]} where earlier rows have {first[0]}")
