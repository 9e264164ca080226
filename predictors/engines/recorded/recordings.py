"""Recorded answers: JSON Lines.

    {"query": "1 + 1?", "text": "2", "parameters": {"temperature": 0}, "mean_logprob": -0.1}

`query` and `text` are required. `parameters` are V2 generation parameters that the answer was made
with; `served_by`, `id` and every telemetry tensor of the contract may stand beside them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from predictors.contract import (
    SERVED_BY,
    TELEMETRY,
    Answer,
    Sampling,
    parse_sampling,
    row_telemetry,
)
from predictors.errors import ConfigurationError, InvalidRequest, known
from predictors.jsonl import read_query, read_rows

_FIELDS: Final = ("query", "text", "parameters", "id", SERVED_BY, *TELEMETRY)


@dataclass(frozen=True, slots=True)
class Recording:
    """`where` is file and line, for errors."""

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
    """Raises ConfigurationError that names file and line, also for a file without rows."""
    for number, row in read_rows(path):
        where = f"{path}, line {number}"
        for name in row:
            if name not in _FIELDS:
                raise ConfigurationError(
                    f"{where}: unknown field {name!r}; {known(name, _FIELDS, brief=True)}"
                )
        parameters = row.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise ConfigurationError(f"{where}: parameters must be an object")
        # Without the row's `text`, which the reader would take for a query of another name.
        query = read_query({"query": row.get("query")}, where)
        recording = Recording(query, _answer(row, where), parameters, where)
        recording.sampling(Sampling())
        yield recording


def _answer(row: Mapping[str, Any], where: str) -> Answer:
    served_by = row.get(SERVED_BY)
    for name, value in (("text", row.get("text")), (SERVED_BY, served_by or "")):
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}: {name} must be a string, not {value!r}")
    return Answer(row["text"], **row_telemetry(row, where), served_by=served_by)
