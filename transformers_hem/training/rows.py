"""Reads training and scoring files: JSON Lines, plain or gzip, one clear line per fault."""

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from predictors.errors import ConfigurationError
from transformers_hem.training.row_telemetry import TELEMETRY_FIELDS, RowTelemetry

LABELS = (("edge_correct", "cloud_correct"), ("edge_score", "cloud_score"))
WINNERS = {"edge": (1.0, 0.0), "cloud": (0.0, 1.0), "tie": (0.5, 0.5)}
LEAST_ROWS = 8
LARGEST_SCORE = 1e100  # either side of 0: sums and squares of many such scores are still finite
MAX_QUERY_BYTES = 1_000_000  # as UTF-8; no model reads that much, and one such line is a mistake


@dataclass(frozen=True, slots=True)
class Labels:
    """How both models did on each query: `edge` and `cloud` are float [N], higher is better.

    `low` is the lowest that a label can be, 0 for correctness and preferences, of scores the lowest
    seen; `scale` is the width of their range from there. `sha256` is of the file's uncompressed
    content. `epsilon`, on the labels' scale, is what the edge may be worse by.
    `telemetry` is the edge model's own on its answers.
    """

    queries: list[str]
    edge: NDArray[np.float64]
    cloud: NDArray[np.float64]
    scale: float
    sha256: str
    epsilon: float = 0.0
    telemetry: RowTelemetry | None = None
    low: float = 0.0

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Rows that the cloud does better than the edge, by more than epsilon."""
        return is_hard(self.edge, self.cloud, self.epsilon)

    def subset(self, chosen: NDArray[np.integer]) -> "Labels":
        """The rows at `chosen`, in that order."""
        queries = [self.queries[i] for i in chosen]
        telemetry = self.telemetry.subset(chosen) if self.telemetry else None
        return replace(
            self,
            queries=queries,
            edge=self.edge[chosen],
            cloud=self.cloud[chosen],
            telemetry=telemetry,
        )


def is_hard(
    edge: NDArray[np.float64], cloud: NDArray[np.float64], epsilon: float
) -> NDArray[np.bool_]:
    """Hybrid LLM's rule (arXiv 2404.14618, section 3): hard iff edge < cloud - epsilon."""
    return edge < cloud - epsilon


def require_margin(epsilon: float) -> None:
    """Raises ConfigurationError unless it is finite and not negative."""
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ConfigurationError(f"epsilon must be 0 or more, not {epsilon}")


def read_labels(path: Path, epsilon: float = 0.0) -> Labels:
    """Rows {query, edge_correct, cloud_correct}, {query, edge_score, cloud_score}, or preferences
    {query, winner}: edge, cloud or tie, the winner's score 1, the loser's 0, a tie 0.5 each.

    Other fields are ignored, but an `id` must be the row's own. Raises ConfigurationError with
    the line's number.
    """
    require_margin(epsilon)
    content = read_content(path)
    queries: list[str] = []
    pairs: list[tuple[float, float]] = []
    kinds: dict[str, int] = {}
    names: dict[object, int] = {}
    lines: list[int] = []
    told: list[dict[str, Any]] = []
    for number, row in read_rows(path, content):
        lines.append(number)
        told.append({name: row.get(name) for name in TELEMETRY_FIELDS})
        queries.append(read_query(row, path, number))
        require_new(row.get("id"), names, path, number)
        kind, pair = _pair(row, f"{path}, line {number}")
        kinds.setdefault(kind, number)
        pairs.append(pair)
    if len(kinds) > 1:
        (first, _), (other, line) = kinds.items()
        raise ConfigurationError(f"{path}, line {line}: {other} where earlier rows have {first}")
    values = np.array(pairs)
    scored = "edge_score" in kinds
    scale = (float(np.ptp(values)) or 1.0) if scored else 1.0
    low = float(values.min()) if scored else 0.0
    fingerprint = hashlib.sha256(content).hexdigest()
    telemetry = RowTelemetry.of(path, lines, told)
    edge, cloud = values[:, 0], values[:, 1]
    return Labels(queries, edge, cloud, scale, fingerprint, epsilon, telemetry, low)


def sample(labels: Labels, limit: int | None, seed: int) -> Labels:
    """At most `limit` of the rows, drawn by `seed`, in their order."""
    if limit is None or limit >= len(labels.queries):
        return labels
    if limit < LEAST_ROWS:
        raise ConfigurationError(f"a limit of {limit} rows is too few; at least {LEAST_ROWS}")
    order = np.random.default_rng(seed).permutation(len(labels.queries))
    return labels.subset(np.sort(order[:limit]))


def read_queries(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of rows {id, query}, each with an id of its own. Raises
    ConfigurationError with the line's number."""
    names: dict[object, int] = {}
    for number, row in read_rows(path, read_content(path)):
        name = row.get("id")
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigurationError(f"{path}, line {number}: 'id' must be a string or an integer")
        require_new(name, names, path, number)
        read_query(row, path, number)
        yield number, row


def read_content(path: Path) -> bytes:
    """A file's bytes, uncompressed. Raises ConfigurationError."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(f"{path} is damaged gzip: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error


def read_rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank. Raises ConfigurationError."""
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


def read_query(row: dict[str, Any], path: Path, number: int) -> str:
    """A row's query. Raises ConfigurationError where it is missing, empty or huge."""
    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        raise ConfigurationError(f"{path}, line {number}: 'query' must be a non-empty string")
    size = len(query.encode())
    if size > MAX_QUERY_BYTES:
        raise ConfigurationError(
            f"{path}, line {number}: 'query' has {size} bytes; at most {MAX_QUERY_BYTES}"
        )
    return query


def require_new(name: object, seen: dict[object, int], path: Path, number: int) -> None:
    """Notes an id at its line. Raises ConfigurationError where an earlier row has it; None may
    come again."""
    if not isinstance(name, str | int | None):
        raise ConfigurationError(f"{path}, line {number}: 'id' must be a string or an integer")
    if name is not None and seen.setdefault(name, number) != number:
        raise ConfigurationError(f"{path}, line {number}: id {name!r} is line {seen[name]}'s too")


def _pair(row: dict[str, Any], where: str) -> tuple[str, tuple[float, float]]:
    for edge, cloud in LABELS:
        if edge in row or cloud in row:
            return edge, (_number(row, edge, where), _number(row, cloud, where))
    if "winner" in row:
        return "winner", _preference(row["winner"], where)
    raise ConfigurationError(
        f"{where}: has no labels; a row needs edge_correct and cloud_correct, "
        "edge_score and cloud_score, or winner"
    )


def _preference(winner: object, where: str) -> tuple[float, float]:
    if not isinstance(winner, str) or winner not in WINNERS:
        raise ConfigurationError(f"{where}: 'winner' must be edge, cloud or tie, not {winner!r}")
    return WINNERS[winner]


def _number(row: dict[str, Any], name: str, where: str) -> float:
    value = row.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{where}: {name!r} must be a number, not {value!r}")
    if name.endswith("_correct") and value not in (0, 1):
        raise ConfigurationError(f"{where}: {name!r} must be true, false, 1 or 0, not {value!r}")
    if abs(value) > LARGEST_SCORE:
        raise ConfigurationError(
            f"{where}: {name!r} must be between {-LARGEST_SCORE:g} and {LARGEST_SCORE:g}, "
            f"not {value!r}"
        )
    return float(value)
