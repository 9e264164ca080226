"""The edge model's own telemetry in labelled rows, for algorithms that mine the answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transformers_hem.algorithms.base import Batch

Floats = NDArray[np.float64]


def batch_of(rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Rows as `hem label` writes them: query, and where they are there edge_answer,
    edge_mean_logprob, edge_min_logprob, edge_mean_margin. A row without one has no such signal."""
    answers = [row.get("edge_answer") for row in rows]
    texts = tuple(answer for answer in answers if isinstance(answer, str))
    return Batch(
        size=len(rows),
        texts=tuple(row["query"] for row in rows),
        answers=texts if len(texts) == len(rows) else (),
        mean_logprob=_signal(rows, "mean_logprob"),
        min_logprob=_signal(rows, "min_logprob"),
        mean_margin=_signal(rows, "mean_margin"),
    )


def _signal(rows: Sequence[Mapping[str, Any]], name: str) -> Floats | None:
    values = column(rows, f"edge_{name}")
    return None if np.isnan(values).all() else values


def column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    """Float [N]; NaN where a row has no such number."""
    return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
