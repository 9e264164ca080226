"""Scores a file of queries with a router, in batches."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
from predictors.jsonl import write_lines

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.from_rows import batch_of
from transformers_hem.algorithms.signals import lacking
from transformers_hem.labels.labels import read_queries
from transformers_hem.routers.opening import open_router

BATCH_ROWS = 256


def score_file(router: Path | str, data: Path, out: Path) -> int:
    """Rows {id, query} of `data` become rows {id, score} of `out`; returns how many.

    `router` is as `HEM_ROUTER` has it; one that mines the answer reads the edge's telemetry on it
    from the rows, as `hem label` writes it. An `out` that ends in .gz is compressed. Raises
    ConfigurationError for a bad router, a bad row or one without a score, and then leaves `out` as
    it was.
    """
    algorithm = open_router(str(router))
    lines = list(_scored(algorithm, data))
    write_lines(out, lines)
    return len(lines)


def _scored(algorithm: Algorithm, data: Path) -> Iterator[bytes]:
    rows = read_queries(data)
    while chunk := list(islice(rows, BATCH_ROWS)):
        scores = algorithm.score(batch_of([row for _, row in chunk]))
        for (number, row), score in zip(chunk, scores, strict=True):
            if not np.isfinite(score):
                why = lacking(algorithm, row) or f"{type(algorithm).__name__} has no score for it"
                raise ConfigurationError(f"{data}, line {number}: {why}")
            yield orjson.dumps({"id": row["id"], "score": float(score)}) + b"\n"
