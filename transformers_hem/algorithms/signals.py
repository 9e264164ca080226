"""The fields of a row that hold what an algorithm reads of the edge's answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictors.contract import (
    BOX_FIELDS,
    BOXES,
    PROBABILITIES,
    is_number,
)
from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm, Signal

LABELLED = "; `hem label` writes it where the edge's engine tells it"


@dataclass(frozen=True, slots=True)
class RowField:
    """`holds` says in words what `fits` asks for; `way_out` is where it comes from.

    A query of live traffic may lack its telemetry, and so may some rows; one without an `essential`
    field is a mistake.
    """

    name: str
    holds: str
    fits: Callable[[object], bool]
    way_out: str = ""
    essential: bool = True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_number, value))


def _are_boxes(value: object) -> bool:
    return isinstance(value, list) and all(
        _are_numbers(box) and len(box) == BOX_FIELDS for box in value
    )


FIELDS: Mapping[Signal, RowField] = {
    **{
        name: RowField(f"edge_{name}", "number", is_number, LABELLED, essential=False)
        for name in ("mean_logprob", "min_logprob", "mean_margin")
    },
    "answers": RowField("edge_answer", "text", _is_text, "; `hem label` writes it"),
    "samples": RowField("samples", "list of texts", _are_texts),
    "probabilities": RowField(PROBABILITIES, "list of numbers", _are_numbers),
    "boxes": RowField(BOXES, f"list of boxes, each of {BOX_FIELDS} numbers,", _are_boxes),
}


def lacking(algorithm: Algorithm, row: Mapping[str, Any]) -> str:
    """What the algorithm reads and the row has not, in words; empty where it has all."""
    for signal in algorithm.signals:
        field = FIELDS[signal]
        if not field.fits(row.get(field.name)):
            return _missing(algorithm, field)
    return ""


def require_signals(
    path: Path, algorithm: Algorithm, rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> None:
    """Of a file's rows with their lines: raises ConfigurationError, naming the line, where the
    algorithm can't be calibrated on them for want of a field."""
    for signal in algorithm.signals:
        field = FIELDS[signal]
        without = [number for number, row in rows if not field.fits(row.get(field.name))]
        if without and (field.essential or len(without) == len(rows)):
            raise ConfigurationError(f"{path}, line {without[0]}: {_missing(algorithm, field)}")
    _require_sizes(path, algorithm, rows)


def _require_sizes(
    path: Path, algorithm: Algorithm, rows: Sequence[tuple[int, Mapping[str, Any]]]
) -> None:
    """As many classes in every row, and as many samples as are asked for."""
    for signal in algorithm.signals:
        if signal not in ("probabilities", "samples"):
            continue
        name = FIELDS[signal].name
        wanted = algorithm.sampling.count if algorithm.sampling else len(rows[0][1][name])
        for number, row in rows:
            if len(row[name]) != wanted:
                raise ConfigurationError(
                    f"{path}, line {number}: {name!r} has {len(row[name])} elements, not {wanted}"
                )


def _missing(algorithm: Algorithm, field: RowField) -> str:
    name = type(algorithm).__name__
    return f"no {field.holds} in {field.name!r}, which {name} reads{field.way_out}"
