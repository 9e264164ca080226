"""Labelled rows as training, calibration and the oracle read them, and rows of queries to score."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.contract import is_telemetry
from predictors.csv_table import read_table
from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_query, read_rows, require_new
from transformers_hem.labels.prefixes import lacks_prefix, of_the_first, with_prefix

LABELS = (("edge_correct", "cloud_correct"), ("edge_score", "cloud_score"))
TEXT_COLUMNS = frozenset({"id", "query", "winner", "edge_answer", "cloud_answer", "reference"})
WINNERS = {"edge": (1.0, 0.0), "cloud": (0.0, 1.0), "tie": (0.5, 0.5)}
LEAST_ROWS = 8
LARGEST_SCORE = 1e100  # either side of 0: sums and squares of many such scores are still finite
SIGNALS = ("mean_logprob", "min_logprob", "mean_margin")
TELEMETRY_FIELDS = tuple(f"edge_{name}" for name in SIGNALS)


@dataclass(frozen=True, slots=True)
class RowTelemetry:
    """`values`: of each of SIGNALS, float [N], NaN where a row of `path` has no such number;
    `lines`: int [N]. They are of the first `prefix_tokens` tokens of each answer, None: of all."""

    path: Path
    lines: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    prefix_tokens: int | None = None

    @classmethod
    def of(
        cls,
        path: Path,
        lines: Sequence[int],
        rows: Sequence[Mapping[str, Any]],
        prefix_tokens: int | None,
    ) -> "RowTelemetry":
        values = {
            name: np.array([v if is_telemetry(name, v := row[field]) else math.nan for row in rows])
            for name, field in zip(SIGNALS, TELEMETRY_FIELDS, strict=True)
        }
        return cls(path, np.array(lines), values, prefix_tokens)

    def subset(self, chosen: NDArray[np.integer]) -> "RowTelemetry":
        values = {name: column[chosen] for name, column in self.values.items()}
        return replace(self, lines=self.lines[chosen], values=values)

    def require(self, name: str) -> None:
        """Raises ConfigurationError naming the first row that lacks the signal."""
        missing = np.flatnonzero(np.isnan(self.values[name]))
        if len(missing):
            raise ConfigurationError(
                f"{self.path}, line {self.lines[missing[0]]}: no number in 'edge_{name}'"
                f"{of_the_first(self.prefix_tokens)}, which this router learns from; `hem label` "
                "writes it where the edge's engine tells it"
            )


@dataclass(frozen=True, slots=True)
class Labels:
    """How both models did on each query: `edge` and `cloud` are float [N], higher is better.

    `low` is the lowest that a label can be, 0 for correctness and preferences, of scores the lowest
    seen; `scale` is the width of their range from there. `sha256` is of the file's uncompressed
    content. `epsilon`, on the labels' scale, is what the edge may be worse by.
    `telemetry` is the edge model's own on its answers. `weights`, float [N, 2], of the edge's and
    of the cloud's label: 0 where that side was not seen, and its label is only a guess of it; None:
    both sides of all rows were seen, and count alike.
    """

    queries: list[str]
    edge: NDArray[np.float64]
    cloud: NDArray[np.float64]
    scale: float
    sha256: str
    epsilon: float = 0.0
    telemetry: RowTelemetry | None = None
    low: float = 0.0
    weights: NDArray[np.float64] | None = None

    @property
    def hard(self) -> NDArray[np.bool_]:
        """Rows that the cloud does better than the edge, by more than epsilon."""
        hard: NDArray[np.bool_] = is_hard(self.edge, self.cloud, self.epsilon)
        return hard

    @property
    def paired(self) -> NDArray[np.int64]:
        """The rows of which both sides were seen."""
        if self.weights is None:
            return np.arange(len(self.queries))
        return np.flatnonzero((self.weights > 0).all(axis=1))

    @property
    def side_weights(self) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """The edge's and the cloud's, [N] each; None: all alike."""
        return (None, None) if self.weights is None else (self.weights[:, 0], self.weights[:, 1])

    @property
    def prefix_tokens(self) -> int | None:
        """See RowTelemetry."""
        return self.telemetry.prefix_tokens if self.telemetry else None

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
            weights=None if self.weights is None else self.weights[chosen],
        )


def is_hard(edge: Any, cloud: Any, epsilon: float) -> Any:
    """Whether the cloud does better by more than `epsilon`, of two numbers or two arrays: Hybrid
    LLM's rule (arXiv 2404.14618, section 3), hard where edge < cloud - epsilon."""
    return edge < cloud - epsilon


def require_margin(epsilon: float) -> None:
    """Raises ConfigurationError unless it is finite and not negative."""
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise ConfigurationError(f"epsilon must be 0 or more, not {epsilon}")


def read_labels(path: Path, epsilon: float = 0.0, prefix_tokens: int | None = None) -> Labels:
    """Rows {query, edge_correct, cloud_correct}, {query, edge_score, cloud_score}, or preferences
    {query, winner}: edge, cloud or tie, the winner's score 1, the loser's 0, a tie 0.5 each; or
    {query, label}: 1 for a query that belongs to the cloud, 0 for one that the edge answers as
    well. A name that ends in .csv (or .csv.gz) is of a table with these columns.

    With `prefix_tokens` each row's telemetry is that of so many first tokens of the edge's answer,
    which `hem label` stores. Other fields are ignored, but an `id` must be the row's own. Raises
    ConfigurationError with the line's number.
    """
    require_margin(epsilon)
    content = read_content(path)
    queries: list[str] = []
    pairs: list[tuple[float, float]] = []
    kinds: dict[str, int] = {}
    names: dict[object, int] = {}
    lines: list[int] = []
    telemetry: list[dict[str, Any]] = []
    for number, row in _rows(path, content):
        lines.append(number)
        telemetry.append(_telemetry(row, prefix_tokens, f"{path}, line {number}"))
        queries.append(read_query(row, f"{path}, line {number}"))
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
    edge, cloud = values[:, 0], values[:, 1]
    signals = RowTelemetry.of(path, lines, telemetry, prefix_tokens)
    return Labels(queries, edge, cloud, scale, fingerprint, epsilon, signals, low)


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
    for number, row in read_rows(path):
        name = row.get("id")
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise ConfigurationError(f"{path}, line {number}: 'id' must be a string or an integer")
        require_new(name, names, path, number)
        read_query(row, f"{path}, line {number}")
        yield number, row


def _pair(row: dict[str, Any], where: str) -> tuple[str, tuple[float, float]]:
    for edge, cloud in LABELS:
        if edge in row or cloud in row:
            return edge, (_number(row, edge, where), _number(row, cloud, where))
    if "winner" in row:
        return "winner", _preference(row["winner"], where)
    if "label" in row:
        return "label", _class(row["label"], where)
    raise ConfigurationError(
        f"{where}: has no labels; a row needs edge_correct and cloud_correct, "
        "edge_score and cloud_score, winner, or label"
    )


def _rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of JSON Lines, or of a CSV table whose numbers are told apart from its texts."""
    if not path.name.lower().removesuffix(".gz").endswith(".csv"):
        yield from read_rows(path, content)
        return
    for number, row in read_table(path, content):
        yield number, {name: _cell(name, text) for name, text in row.items() if text != ""}


def _cell(name: str, text: str) -> Any:
    if name in TEXT_COLUMNS:
        return text
    known = {"true": True, "false": False}.get(text.strip().lower())
    if known is not None:
        return known
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _telemetry(row: dict[str, Any], prefix_tokens: int | None, where: str) -> dict[str, Any]:
    if prefix_tokens is not None:
        if lacking := lacks_prefix(row, prefix_tokens):
            raise ConfigurationError(f"{where}: {lacking}")
        row = with_prefix(row, prefix_tokens)
    return {name: row.get(name) for name in TELEMETRY_FIELDS}


def _class(label: object, where: str) -> tuple[float, float]:
    """The cloud's answer counts as good, and so does the edge's where it is as good: arXiv
    2404.14618, section 3, where 1 is hard."""
    if isinstance(label, bool) or label not in (0, 1):
        raise ConfigurationError(
            f"{where}: 'label' must be 1 (hard: to the cloud) or 0 (easy), not {label!r}"
        )
    return (0.0, 1.0) if label else (1.0, 1.0)


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
