"""The rows that a calibration stands on, scored as they would be served."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from predictors.errors import ConfigurationError
from predictors.jsonl import read_content, read_query, read_rows, require_new
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.row_fields import column, require_signals, score_rows
from transformers_hem.arrays import Floats
from transformers_hem.labels.labels import LABELS, Labels, read_labels


@dataclass(frozen=True, slots=True)
class Sample:
    """N rows. `scores` [N] is infinite where a row has no score: such a query is never easy.

    `labels` is None where the rows carry none. `sha256` is of the file's uncompressed content.
    `effective`: as many independent rows say as much, as some are of one query; None: all are.
    """

    path: Path
    rows: list[dict[str, Any]]
    scores: Floats
    labels: Labels | None
    sha256: str
    effective: float | None = None

    def tokens(self, side: str) -> Floats:
        """Prompt and completion tokens that a row took on that side. Raises ConfigurationError."""
        names = [f"{side}_prompt_tokens", f"{side}_completion_tokens"]
        total = np.sum([column(self.rows, name) for name in names], axis=0)
        missing = int(np.isnan(total).sum())
        if missing:
            raise ConfigurationError(
                f"{self.path}: {missing} of {len(self.rows)} rows have no {' or no '.join(names)}; "
                "`hem label` writes them"
            )
        return np.asarray(total)


def read_sample(path: Path, algorithm: Algorithm) -> Sample:
    """Raises ConfigurationError for bad rows, for training rows, and where nothing is scored."""
    content = read_content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if algorithm.calibrated and algorithm.calibrated.data_sha256 == sha256:
        raise ConfigurationError(
            f"{path} is the file that this router was trained on: its scores there are too good to "
            "promise anything; calibrate on other rows"
        )
    numbered = list(read_rows(path, content))
    ids: dict[object, int] = {}
    for number, row in numbered:
        read_query(row, f"{path}, line {number}")
        require_new(row.get("id"), ids, path, number)
    require_signals(path, algorithm, numbered)
    rows = [row for _, row in numbered]
    names = {name for pair in LABELS for name in pair} | {"winner"}
    labelled = any(names & row.keys() for row in rows)
    scores = score_rows(algorithm, rows)
    scores = np.where(np.isnan(scores), np.inf, scores)
    if np.isinf(scores).all():
        raise ConfigurationError(
            f"{path}: {type(algorithm).__name__}, which mines the {algorithm.stage}, has no score "
            "for any of the rows"
        )
    return Sample(path, rows, scores, read_labels(path) if labelled else None, sha256)
