"""What rows tell of the edge model's answers, for algorithms that mine the answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.contract import BOX_FIELDS, is_number
from transformers_hem.algorithms.base import Batch, Signal
from transformers_hem.algorithms.signals import FIELDS

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]

_NO_BOX = -1.0  # its label is below 0


def batch_of(rows: Rows) -> Batch:
    """Rows as `hem label` writes them: query, and where they are there edge_answer,
    edge_mean_logprob, edge_min_logprob, edge_mean_margin. A row without one has no such signal.

    Beyond that they may have `probabilities` [C], `boxes` [M, 6] or `samples` [k], as lists; they
    count where every row has one that is well-formed, of as many classes.
    """
    return Batch(
        size=len(rows),
        texts=tuple(row["query"] for row in rows),
        answers=tuple(_lists(rows, "answers")),
        mean_logprob=_signal(rows, "mean_logprob"),
        min_logprob=_signal(rows, "min_logprob"),
        mean_margin=_signal(rows, "mean_margin"),
        probabilities=_probabilities(_lists(rows, "probabilities")),
        boxes=_boxes(_lists(rows, "boxes")),
        samples=tuple(map(tuple, _lists(rows, "samples"))),
    )


def _signal(rows: Rows, name: Signal) -> Floats | None:
    values = column(rows, FIELDS[name].name)
    return None if np.isnan(values).all() else values


def _lists(rows: Rows, name: Signal) -> list[Any]:
    """One value a row; empty where a row has none or a malformed one."""
    field = FIELDS[name]
    found = [row.get(field.name) for row in rows]
    return found if all(map(field.fits, found)) else []


def _probabilities(found: list[list[float]]) -> Floats | None:
    if len({len(each) for each in found}) != 1:
        return None
    return np.array(found, dtype=np.float64)


def _boxes(found: list[list[list[float]]]) -> Floats | None:
    if not found:
        return None
    filled = np.full((len(found), max(map(len, found)), BOX_FIELDS), _NO_BOX)
    for image, boxes in zip(filled, found, strict=True):
        image[: len(boxes)] = np.reshape(boxes, (-1, BOX_FIELDS))
    return filled


def column(rows: Rows, name: str) -> Floats:
    """Float [N]; NaN where a row has no such number."""
    values = (row.get(name) for row in rows)
    return np.array([v if is_number(v) else math.nan for v in values], dtype=np.float64)
