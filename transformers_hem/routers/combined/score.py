"""Mines query and answer together: a linear router's difficulty beside the edge's telemetry."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.combined.files import load_combined
from transformers_hem.routers.directory import locate


class CombinedParameters(AlgorithmParameters):
    """`router`: a directory written by `hem train`, or `embedded:combined`."""

    router: str = "embedded:combined"


class CombinedRouter(TrainedRouter):
    """score = P(the cloud does better), given the query's difficulty and how sure the edge model
    was of its answer. A row without one of the signals that it was trained on has no score."""

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = CombinedParameters

    def __init__(self, parameters: CombinedParameters) -> None:
        config, self._query = load_combined(locate(parameters.router))
        self._config = config
        self._signals, self._chances = config.signals, config.raw
        self.signals = config.signals

    def raw(self, batch: Batch) -> Scores:
        signals = {name: getattr(batch, name) for name in self._signals}
        if len(batch.texts) != batch.size or any(values is None for values in signals.values()):
            return np.full(batch.size, np.nan)
        difficulty = np.array([self._query.score(text) for text in batch.texts])
        return self._chances(difficulty, signals)
