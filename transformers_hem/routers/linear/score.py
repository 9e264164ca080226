"""Mines the query by a linear model over hashed n-grams; trained by `hem train`."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.directory import locate
from transformers_hem.routers.linear.files import LinearModel


class LinearParameters(AlgorithmParameters):
    """`router`: a directory written by `hem train`, or `embedded:linear`."""

    router: str = "embedded:linear"


class LinearRouter(TrainedRouter):
    """score = the model's difficulty of the query (see `transformers_hem.routers.targets`), made a
    probability where the router brings a map for it."""

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = LinearParameters

    def __init__(self, parameters: LinearParameters) -> None:
        self._model = LinearModel.load(locate(parameters.router))
        self._config = self._model.config

    def raw(self, batch: Batch) -> Scores:
        return np.array([self._model.score(text) for text in batch.texts])
