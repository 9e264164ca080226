"""Reads training and scoring files: JSON Lines, plain or gzip, one clear line per fault."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictors.errors import ConfigurationError

LABELS = (("edge_correct", "cloud_correct"), ("edge_score", "cloud_score"))
LEAST_ROWS = 8


@dataclass(frozen=True, slots=True)
class Labels:
    """How both models did on each query: `edge` and `cloud` are float [N], higher is better.

    `scale` is the width of the labels' range (1 for correctness). `sha256` is of the file's
    uncompressed content.
    """

    queries: list[str]
    edge: NDArray[np.float64]
    cloud: NDArray[np.float64]
    scale: float
    sha256: str

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Rows that the cloud does better than the edge."""
        return self.cloud > self.edge


def read_labels(path: Path) -> Labels:
    """Rows {query, edge_correct, cloud_correct} or {query, edge_score, cloud_score}.

    Other fields are ignored. Raises ConfigurationError with the line's number.
    """
    content = read_content(path)
    queries: list[str] = []
    pairs: list[tuple[float, float]] = []
    kinds: dict[str, int] = {}
    for number, row in _rows(path, content):
        queries.append(_query(row, path, number))
        kind, pair = _pair(row, f"{path}, line {number}")
        kinds.setdefault(kind, number)
        pairs.append(pair)
    if len(kinds) > 1:
        (first, _), (other, line) = kinds.items()
        raise ConfigurationError(f"{path}, line {line}: {other} where earlier rows have {first}")
    values = np.array(pairs)
    scale = 1.0 if "edge_correct" in kinds else float(np.ptp(values)) or 1.0
    fingerprint = hashlib.sha256(content).hexdigest()
    return Labels(queries, values[:, 0], values[:, 1], scale, fingerprint)


def sample(labels: Labels, limit: int | None, seed: int) -> Labels:
    """At most `limit` of the rows, drawn by `seed`, in their order."""
    if limit is None or limit >= len(labels.queries):
        return labels
    if limit < LEAST_ROWS:
        raise ConfigurationError(f"a limit of {limit} rows is too few; at least {LEAST_ROWS}")
    order = np.random.default_rng(seed).permutation(len(labels.queries))
    chosen = np.sort(order[:limit])
    return Labels(
        [labels.queries[i] for i in chosen],
        labels.edge[chosen],
        labels.cloud[chosen],
        labels.scale,
        labels.sha256,
    )


def read_queries(path: Path) -> Iterator[tuple[str | int, str]]:
    """Rows {id, query}, as (id, query). Raises ConfigurationError with the line's number."""
    for number, row in _rows(path, read_content(path)):
        name = row.get("id")
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigurationError(f"{path}, line {number}: 'id' must be a string or an integer")
        yield name, _query(row, path, number)


def read_content(path: Path) -> bytes:
    """A file's bytes, uncompressed. Raises ConfigurationError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(f"{path} is damaged gzip: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error


def _rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    found = False
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}, line {number}: must be a JSON object")
        found = True
        yield number, row
    if not found:
        raise ConfigurationError(f"{path} has no rows")


def _query(row: dict[str, Any], path: Path, number: int) -> str:
    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ConfigurationError(f"{path}, line {number}: 'query' must be a non-empty string")
    return query


def _pair(row: dict[str, Any], where: str) -> tuple[str, tuple[float, float]]:
    for edge, cloud in LABELS:
        if edge in row or cloud in row:
            return edge, (_number(row, edge, where), _number(row, cloud, where))
    raise ConfigurationError(
        f"{where}: has no labels; a row needs edge_correct and cloud_correct, "
        "or edge_score and cloud_score"
    )


def _number(row: dict[str, Any], name: str, where: str) -> float:
    value = row.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{where}: {name!r} must be a number, not {value!r}")
    if name.endswith("_correct") and value not in (0, 1):
        raise ConfigurationError(f"{where}: {name!r} must be true, false, 1 or 0, not {value!r}")
    return float(value)
