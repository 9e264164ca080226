"""Mines query and answer together: a linear router's difficulty beside the edge's telemetry."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.calibration import CalibratedConfig
from transformers_hem.combined_router import load_combined, probability
from transformers_hem.router_directory import locate


class CombinedParameters(AlgorithmParameters):
    """`router`: a directory written by `hem train`, or `embedded:combined`."""

    router: str = "embedded:combined"


class CombinedRouter(Algorithm):
    """score = P(the cloud does better), given the query's difficulty and how sure the edge model
    was of its answer. A row without one of the signals that it was trained on has no score."""

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = CombinedParameters

    def __init__(self, parameters: CombinedParameters) -> None:
        self._config, self._query = load_combined(locate(parameters.router))

    @property
    def calibrated(self) -> CalibratedConfig:
        return self._config

    def score(self, batch: Batch) -> Scores:
        known = {name: getattr(batch, name) for name in self._config.signals}
        if len(batch.texts) != batch.size or any(values is None for values in known.values()):
            return np.full(batch.size, np.nan)
        signals = {name: probability(name, values) for name, values in known.items()}
        difficulty = np.array([self._query.score(text) for text in batch.texts])
        return self._config.difficulty(self._config.raw(difficulty, signals))
