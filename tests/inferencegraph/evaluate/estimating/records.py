"""Logs made of recorded correctness (`../shared/data`): the edge is played from the records."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Records:
    """`edge` and `cloud`: scores [N] between 0 and 1."""

    queries: list[str]
    edge: Floats
    cloud: Floats

    @property
    def losses(self) -> Floats:
        return self.cloud - self.edge

    def rows(self, chosen: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Of a log: an answer is "right" or "wrong", so only for records of correctness."""
        said = {0.0: "wrong", 1.0: "right"}
        return [
            {
                "id": int(index),
                "query": self.queries[index],
                "reference": "right",
                "edge_answer": said[self.edge[index]],
                "cloud_answer": said[self.cloud[index]],
            }
            for index in chosen
        ]


def mmlu(shared: Path) -> Records:
    rows = _read(shared / "data" / "mmlu_mixtral_gpt4.jsonl.gz")
    sides = ([float(row[f"{side}_correct"]) for row in rows] for side in ("edge", "cloud"))
    return Records([row["query"] for row in rows], *map(np.array, sides))


def llmrouter(shared: Path, edge: str, cloud: str) -> Records:
    """Two of its nine models; right where they have the whole score."""
    rows = _read(shared / "data" / "llmrouter_9models.jsonl.gz")
    sides = ([float(row["scores"][model] >= 1) for row in rows] for model in (edge, cloud))
    return Records([row["query"] for row in rows], *map(np.array, sides))


def _read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as file:
        rows = [json.loads(line) for line in file]
    return list({row["query"].strip(): row for row in rows}.values())
