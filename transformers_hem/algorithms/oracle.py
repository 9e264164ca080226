"""The best that any router could do, for benchmarks: it knows how both models will answer."""

from pathlib import Path
from typing import ClassVar

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.targets import difference


class OracleParameters(AlgorithmParameters):
    """`labels`: a file of rows {query, edge_correct, cloud_correct} or {query, edge_score,
    cloud_score}, JSON Lines, plain or gzip."""

    labels: Path


class OracleRouter(Algorithm):
    """score = the `difference` of the query's labels: above 0.5 the cloud does better. It calls no
    model; a query without labels has no score."""

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = OracleParameters

    def __init__(self, parameters: OracleParameters) -> None:
        labels = read_labels(parameters.labels)
        self._scores: dict[str, float] = {}
        for query, score in zip(labels.queries, difference(labels).tolist(), strict=True):
            if self._scores.setdefault(query, score) != score:
                raise ConfigurationError(
                    f"{parameters.labels} has different labels for one query: {query[:80]!r}"
                )

    @property
    def default_threshold(self) -> float:
        return 0.5

    def score(self, batch: Batch) -> Scores:
        return np.array([self._scores.get(text, np.nan) for text in batch.texts])
