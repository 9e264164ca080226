"""Mines the query by a linear model over hashed n-grams; trained by `hem train`."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.router_directory import LinearModel, locate


class LinearParameters(AlgorithmParameters):
    """`router`: a directory written by `hem train`, or `embedded:linear`."""

    router: str = "embedded:linear"


class LinearRouter(Algorithm):
    """score = the model's difficulty of the query (see `transformers_hem.training.targets`)."""

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = LinearParameters

    def __init__(self, parameters: LinearParameters) -> None:
        self._model = LinearModel.load(locate(parameters.router))

    @property
    def default_threshold(self) -> float | None:
        return self._model.config.threshold

    def score(self, batch: Batch) -> Scores:
        return np.array([self._model.score(text) for text in batch.texts])
