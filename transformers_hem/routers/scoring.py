"""Opens a trained router's directory as the algorithm that it was trained for; `hem score`."""

from pathlib import Path

import numpy as np
import orjson

from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import parse
from transformers_hem.algorithms.row_fields import lacking, require_prefixes, score_rows
from transformers_hem.labels.labels import read_queries
from transformers_hem.routers.directory import algorithm_of, locate


def open_router(name: str) -> Algorithm:
    """`name`: a directory or `embedded:<name>`. Raises ConfigurationError where it is unusable."""
    algorithm = algorithm_of(locate(name))
    kind = ALGORITHMS.load(algorithm)
    return kind(parse(algorithm, kind, {"router": name}))


def score_file(router: Path | str, data: Path, out: Path) -> int:
    """Rows {id, query} of `data` become rows {id, score} of `out`; returns how many.

    `router` is as `HEM_ROUTER` has it; one that mines the answer reads the edge's telemetry on it
    from the rows, as `hem label` writes it. An `out` that ends in .gz is compressed. Raises
    ConfigurationError for a bad router, a bad row or one without a score, and then leaves `out` as
    it was.
    """
    algorithm = open_router(str(router))
    numbered = list(read_queries(data))
    require_prefixes(data, algorithm, numbered)
    numbers, rows = zip(*numbered, strict=True)
    lines = []
    for number, row, score in zip(numbers, rows, score_rows(algorithm, rows), strict=True):
        if not np.isfinite(score):
            why = lacking(algorithm, row) or f"{type(algorithm).__name__} has no score for it"
            raise ConfigurationError(f"{data}, line {number}: {why}")
        lines.append(orjson.dumps({"id": row["id"], "score": float(score)}) + b"\n")
    write_lines(out, lines)
    return len(lines)
