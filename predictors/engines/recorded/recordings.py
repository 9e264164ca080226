"""Recorded answers: JSONL, one object per line.

    {"query": "1 + 1?", "text": "2", "parameters": {"temperature": 0}, "mean_logprob": -0.1}

`query` and `text` are required. `parameters` are V2 generation parameters that the answer was made
with; `served_by`, `id` and every telemetry tensor of the contract may stand beside them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import orjson

from predictors.contract import (
    SERVED_BY,
    TELEMETRY,
    Answer,
    Sampling,
    parse_sampling,
    parse_texts,
)
from predictors.errors import ConfigurationError, InvalidRequest

_FIELDS: Final = ("query", "text", "parameters", "id", SERVED_BY, *TELEMETRY)


@dataclass(frozen=True, slots=True)
class Recording:
    """`where`: file and line, for errors."""

    query: str
    answer: Answer
    parameters: Mapping[str, Any]
    where: str

    def sampling(self, defaults: Sampling) -> Sampling:
        """How the answer was made; `defaults` for what the row leaves open."""
        try:
            return parse_sampling(self.parameters, defaults)
        except InvalidRequest as error:
            raise ConfigurationError(f"{self.where}: {error}") from None


def read_recordings(path: Path) -> Iterator[Recording]:
    """Raises ConfigurationError that names file and line, also where there is no row at all."""
    empty = True
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    empty = False
                    yield _recording(line, f"{path}, line {number}")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from None
    if empty:
        raise ConfigurationError(f"{path}: no recorded answers in it")


def _recording(line: bytes, where: str) -> Recording:
    try:
        row = orjson.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"{where}: no JSON: {error}") from None
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where}: not a JSON object")
    for name in row:
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_FIELDS)}"
            raise ConfigurationError(f"{where}: unknown field {name!r}; {hint}")
    try:
        (query,) = parse_texts([1], "BYTES", [row.get("query")])
    except InvalidRequest as error:
        raise ConfigurationError(f"{where}: query: {error}") from None
    parameters = row.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ConfigurationError(f"{where}: parameters must be an object")
    recording = Recording(query, _answer(row, where), parameters, where)
    recording.sampling(Sampling())
    return recording


def _answer(row: Mapping[str, Any], where: str) -> Answer:
    served_by = row.get(SERVED_BY)
    for name, value in (("text", row.get("text")), (SERVED_BY, served_by or "")):
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}: {name} must be a string, not {value!r}")
    telemetry = {name: row[name] for name in TELEMETRY if row.get(name) is not None}
    for name, value in telemetry.items():
        kinds = int if TELEMETRY[name] == "INT32" else int | float
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ConfigurationError(f"{where}: {name} must be a number, not {value!r}")
    return Answer(row["text"], **telemetry, served_by=served_by)
