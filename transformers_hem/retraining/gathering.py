"""Rows of base data and of a store of feedback, as observations, oldest first."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import read_labels
from transformers_hem.lifelong.observations import Observation, Observations


@dataclass(frozen=True, slots=True)
class Gathered:
    """`rows` says how many there are of each kind, and how many could not be used, and why."""

    seen: Observations
    rows: dict[str, int]


def gather(base: Sequence[Path], store: str) -> Gathered:
    """Raises ConfigurationError."""
    rows = [*of_base(base)]
    left_out: Counter[str] = Counter()
    if store:
        raise ConfigurationError("a store can't be read yet")
    counts = Counter(row.kind for row in rows)
    return Gathered(Observations.of(rows), {**counts, **left_out})


def of_base(files: Sequence[Path]) -> Iterator[Observation]:
    """Labelled rows, in their order, before all that came by use. Raises ConfigurationError."""
    for number, file in enumerate(files):
        labels = read_labels(file)
        low, scale = labels.low, labels.scale
        pairs = zip(labels.queries, labels.edge.tolist(), labels.cloud.tolist(), strict=True)
        for query, edge, cloud in pairs:
            yield Observation(
                query,
                (edge - low) / scale,
                (cloud - low) / scale,
                "base",
                at=float(number - len(files)),
            )
