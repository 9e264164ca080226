"""Mines query and answer together: a linear router's difficulty beside the edge's telemetry.

On disk: config.json and, in `query/`, the LinearRouter that it asks.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.arrays import Floats
from transformers_hem.routers.base import TrainedConfig, TrainedRouter
from transformers_hem.routers.directory import CONFIG_FILE, locate, read_config
from transformers_hem.routers.linear.score import LinearModel

QUERY = "query"

Telemetry = Literal["mean_logprob", "min_logprob", "mean_margin"]


class CombinedConfig(TrainedConfig):
    """A logistic model over `features`, put on one scale by `centre` and `scale`. `query_sha256` is
    of the linear router's weights."""

    version: Literal[2] = 2
    algorithm: Literal["CombinedRouter"] = "CombinedRouter"
    signals: tuple[Telemetry, ...] = Field(min_length=1)
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    query_sha256: str

    @model_validator(mode="after")
    def _fit(self) -> "CombinedConfig":
        if {len(self.centre), len(self.scale), len(self.weights)} != {1 + len(self.signals)}:
            raise ValueError(f"centre, scale or weights don't fit {len(self.signals)} signals")
        return self

    def raw(self, difficulty: Floats, signals: Mapping[Telemetry, Floats]) -> Floats:
        """Float [N] in [0, 1] of a linear router's raw difficulties; NaN where a signal is."""
        rows = features(difficulty, {name: signals[name] for name in self.signals})
        total = (rows - self.centre) / self.scale @ np.array(self.weights) + self.intercept
        return np.asarray(0.5 * (1.0 + np.tanh(total / 2)))


def features(difficulty: Floats, signals: Mapping[Telemetry, Floats]) -> Floats:
    """Float [N, 1 + signals]: log-odds of the query's difficulty, then for each signal the
    logarithm of the doubt that it leaves: nats, or 1 - margin. NaN stays NaN.

    Squares and products of these gained nothing in cross-validation on the embedded pair, and could
    make an unsure answer look better than a sure one.
    """
    query = np.clip(difficulty, 1e-4, 1 - 1e-4)
    doubts = [1 - v if name == "mean_margin" else -v for name, v in signals.items()]
    columns = [query / (1 - query), *(np.maximum(doubt, 1e-4) for doubt in doubts)]
    return np.asarray(np.log(np.stack(columns, axis=1)))


class CombinedParameters(AlgorithmParameters):
    """`router`: a directory written by `hem train`, or `embedded:combined`."""

    router: str = "embedded:combined"


class CombinedRouter(TrainedRouter):
    """score = P(the cloud does better), given the query's difficulty and how sure the edge model
    was of its answer. A row without one of the signals that it was trained on has no score."""

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = CombinedParameters

    def __init__(self, parameters: CombinedParameters) -> None:
        directory = locate(parameters.router)
        config = self.calibrated = read_config(directory, CombinedConfig, "CombinedRouter")
        self._query = LinearModel.load(directory / QUERY)
        if self._query.config.weights_sha256 != config.query_sha256:
            raise ConfigurationError(
                f"{directory / QUERY} belongs to another {CONFIG_FILE} than "
                f"{directory / CONFIG_FILE}"
            )
        self._chances, self._telemetry = config.raw, config.signals
        self.signals = config.signals

    def raw(self, batch: Batch) -> Scores:
        signals = {name: getattr(batch, name) for name in self._telemetry}
        if len(batch.texts) != batch.size or any(values is None for values in signals.values()):
            return np.full(batch.size, np.nan)
        difficulty = np.array([self._query.score(text) for text in batch.texts])
        return self._chances(difficulty, signals)
