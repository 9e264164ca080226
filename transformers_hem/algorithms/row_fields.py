"""What rows of a file hold of the edge's answers, for algorithms that mine the answer: each field's
name and form, and from N rows a Batch, as a request would bring it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from predictors.contract import BOX_FIELDS, BOXES, PROBABILITIES, is_number, is_telemetry
from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import (
    SCORED_CHARACTERS,
    Algorithm,
    Batch,
    Scores,
    Signal,
    bounded,
)
from transformers_hem.arrays import Floats
from transformers_hem.labels.prefixes import lacks_prefix, of_the_first, with_prefix

LABELLED = "; `hem label` writes it where the edge's engine gives it"
BATCH_ROWS = 256
_NO_BOX = -1.0  # its label is below 0

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowField:
    """`holds` says in words what `fits` asks for; `way_out` is where it comes from.

    A query of live traffic may lack its telemetry, and so may some rows; a row without an
    `essential` field is a mistake.
    """

    name: str
    holds: str
    fits: Callable[[object], bool]
    way_out: str = ""
    essential: bool = True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _list_of(fits: Callable[[object], bool], least: int = 1) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(fits, value))


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == BOX_FIELDS and all(map(is_number, value))


FIELDS: Mapping[Signal, RowField] = {
    **{
        name: RowField(
            f"edge_{name}", "number", partial(is_telemetry, name), LABELLED, essential=False
        )
        for name in ("mean_logprob", "min_logprob", "mean_margin")
    },
    "answers": RowField("edge_answer", "text", _is_text, "; `hem label` writes it"),
    "samples": RowField("samples", "list of texts", _list_of(_is_text)),
    "probabilities": RowField(PROBABILITIES, "list of numbers", _list_of(is_number)),
    "boxes": RowField(
        BOXES, f"list of boxes, each of {BOX_FIELDS} numbers,", _list_of(_is_box, least=0)
    ),
}


def lacking(algorithm: Algorithm, row: Row) -> str:
    """What the algorithm reads and the row lacks, in words; empty where it has all."""
    row = _mined(algorithm, row)
    for signal in algorithm.signals:
        field = FIELDS[signal]
        if not field.fits(row.get(field.name)):
            return _missing(algorithm, field)
    return ""


def require_signals(path: Path, algorithm: Algorithm, rows: Sequence[tuple[int, Row]]) -> None:
    """Of a file's rows with their lines: raises ConfigurationError, naming the line, where a field
    is missing that the algorithm can't be calibrated without, or of another length than it must
    have: as many classes in every row, and as many samples as the algorithm asks for."""
    require_prefixes(path, algorithm, rows)
    rows = [(number, _mined(algorithm, row)) for number, row in rows]
    for signal in algorithm.signals:
        field = FIELDS[signal]
        without = [number for number, row in rows if not field.fits(row.get(field.name))]
        if without and (field.essential or len(without) == len(rows)):
            raise ConfigurationError(f"{path}, line {without[0]}: {_missing(algorithm, field)}")
        if signal in ("probabilities", "samples"):
            sizes = [len(row[field.name]) for _, row in rows]
            wanted = algorithm.sampling.count if algorithm.sampling else sizes[0]
            for (number, _), size in zip(rows, sizes, strict=True):
                if size != wanted:
                    raise ConfigurationError(
                        f"{path}, line {number}: {field.name!r} has {size} elements, not {wanted}"
                    )


def require_prefixes(path: Path, algorithm: Algorithm, rows: Iterable[tuple[int, Row]]) -> None:
    """The same, where a row lacks the prefix that the algorithm decides on."""
    if (tokens := algorithm.prefix_tokens) is not None:
        for number, row in rows:
            if fault := lacks_prefix(row, tokens):
                raise ConfigurationError(f"{path}, line {number}: {fault}")


def _missing(algorithm: Algorithm, field: RowField) -> str:
    name, of = type(algorithm).__name__, of_the_first(algorithm.prefix_tokens)
    return f"no {field.holds} in {field.name!r}{of}, which {name} reads{field.way_out}"


def _mined(algorithm: Algorithm, row: Row) -> Row:
    """The row, with the prefix that the algorithm decides on in the answer's place."""
    tokens = algorithm.prefix_tokens
    return row if tokens is None else with_prefix(row, tokens)


def batch_of(rows: Sequence[Row]) -> Batch:
    """Rows as `hem label` writes them: query, and where they are there edge_answer,
    edge_mean_logprob, edge_min_logprob, edge_mean_margin. A row without one has no such signal.

    Beyond that they may have `probabilities` [C], `boxes` [M, 6] or `samples` [k], as lists; they
    count where every row has one that is well-formed, of as many classes.
    """
    classes = _lists(rows, "probabilities")
    alike = len({len(each) for each in classes}) == 1
    return Batch(
        size=len(rows),
        texts=tuple(row["query"] for row in rows),
        answers=tuple(_lists(rows, "answers")),
        mean_logprob=_signal(rows, "mean_logprob"),
        min_logprob=_signal(rows, "min_logprob"),
        mean_margin=_signal(rows, "mean_margin"),
        probabilities=np.array(classes, dtype=np.float64) if alike else None,
        boxes=_boxes(_lists(rows, "boxes")),
        samples=tuple(map(tuple, _lists(rows, "samples"))),
    )


def _signal(rows: Sequence[Row], name: Signal) -> Floats | None:
    values = column(rows, FIELDS[name].name)
    return None if np.isnan(values).all() else values


def _lists(rows: Sequence[Row], name: Signal) -> list[Any]:
    """One value a row; empty where a row has none or a malformed one."""
    field = FIELDS[name]
    values = [row.get(field.name) for row in rows]
    return values if all(map(field.fits, values)) else []


def _boxes(images: list[list[list[float]]]) -> Floats | None:
    if not images:
        return None
    filled = np.full((len(images), max(map(len, images)), BOX_FIELDS), _NO_BOX)
    for image, boxes in zip(filled, images, strict=True):
        image[: len(boxes)] = np.reshape(boxes, (-1, BOX_FIELDS))
    return filled


def column(rows: Sequence[Row], name: str) -> Floats:
    """Float [N]; NaN where a row has no such number."""
    values = (row.get(name) for row in rows)
    return np.array([v if is_number(v) else math.nan for v in values], dtype=np.float64)


def score_rows(algorithm: Algorithm, rows: Sequence[Row]) -> Scores:
    """Float [N], as the algorithm would score N queries that are served; NaN without a score."""
    rows = [_mined(algorithm, row) for row in rows]
    starts = range(0, len(rows), BATCH_ROWS)
    batches = (batch_of(rows[start : start + BATCH_ROWS]) for start in starts)
    parts = [algorithm.score(bounded(batch, SCORED_CHARACTERS)) for batch in batches]
    return np.concatenate(parts)
