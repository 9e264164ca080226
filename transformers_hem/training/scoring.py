"""Scores a file of queries with a router, in batches."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import orjson

from transformers_hem.algorithms.base import Algorithm, Batch
from transformers_hem.algorithms.routers import open_router
from transformers_hem.training.rows import read_queries
from transformers_hem.training.writing import write_lines

BATCH_ROWS = 256


def score_file(router: Path | str, data: Path, out: Path) -> int:
    """Rows {id, query} of `data` become rows {id, score} of `out`; returns how many.

    `router` is a directory or `embedded:linear`; an `out` that ends in .gz is compressed. Raises
    ConfigurationError for a bad router or row, and then leaves `out` as it was.
    """
    algorithm = open_router(str(router))
    lines = list(_scored(algorithm, read_queries(data)))
    write_lines(out, lines)
    return len(lines)


def _scored(algorithm: Algorithm, rows: Iterator[tuple[str | int, str]]) -> Iterator[bytes]:
    while chunk := list(islice(rows, BATCH_ROWS)):
        names, texts = zip(*chunk, strict=True)
        scores = algorithm.score(Batch(len(texts), texts=texts))
        for name, score in zip(names, scores, strict=True):
            yield orjson.dumps({"id": name, "score": float(score)}) + b"\n"
