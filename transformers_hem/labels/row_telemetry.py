"""The telemetry columns of labelled rows, with the lines that they stand in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.errors import ConfigurationError

SIGNALS = ("mean_logprob", "min_logprob", "mean_margin")
TELEMETRY_FIELDS = tuple(f"edge_{name}" for name in SIGNALS)


@dataclass(frozen=True, slots=True)
class RowTelemetry:
    """`values`: of each of SIGNALS, float [N], NaN where a row of `path` has no such number;
    `lines`: int [N]."""

    path: Path
    lines: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls, path: Path, lines: Sequence[int], rows: Sequence[Mapping[str, Any]]
    ) -> "RowTelemetry":
        values = {
            name: np.array([_number(row[field]) for row in rows])
            for name, field in zip(SIGNALS, TELEMETRY_FIELDS, strict=True)
        }
        return cls(path, np.array(lines), values)

    def subset(self, chosen: NDArray[np.integer]) -> "RowTelemetry":
        values = {name: found[chosen] for name, found in self.values.items()}
        return RowTelemetry(self.path, self.lines[chosen], values)

    def require(self, name: str) -> None:
        """Raises ConfigurationError naming the first row that lacks the signal."""
        missing = np.flatnonzero(np.isnan(self.values[name]))
        if len(missing):
            raise ConfigurationError(
                f"{self.path}, line {self.lines[missing[0]]}: no number in 'edge_{name}', which "
                "this router learns from; `hem label` writes it where the edge's engine tells it"
            )


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return math.nan
