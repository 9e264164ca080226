"""A CombinedRouter on disk: config.json and, in `query/`, the LinearRouter that it asks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from predictors.errors import ConfigurationError
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.routers.directory import CONFIG_FILE, read_config
from transformers_hem.routers.linear.files import LinearModel

QUERY = "query"

Signal = Literal["mean_logprob", "min_logprob", "mean_margin"]
Floats = NDArray[np.float64]


class CombinedConfig(CalibratedConfig):
    """A logistic model over `features`, put on one scale by `centre` and `scale`. `query_sha256` is
    of the linear router's weights."""

    version: Literal[2] = 2
    algorithm: Literal["CombinedRouter"] = "CombinedRouter"
    signals: tuple[Signal, ...] = Field(min_length=1)
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    seed: int
    rows: int
    epsilon: float = Field(default=0.0, ge=0)
    metrics: dict[str, float | int | str]
    query_sha256: str

    @model_validator(mode="after")
    def _fit(self) -> "CombinedConfig":
        if {len(self.centre), len(self.scale), len(self.weights)} != {1 + len(self.signals)}:
            raise ValueError(f"centre, scale or weights don't fit {len(self.signals)} signals")
        return self

    def raw(self, difficulty: Floats, signals: Mapping[Signal, Floats]) -> Floats:
        """Float [N] in [0, 1] of a linear router's raw difficulties; NaN where a signal is."""
        rows = features(difficulty, {name: signals[name] for name in self.signals})
        total = (rows - self.centre) / self.scale @ np.array(self.weights) + self.intercept
        chances: Floats = 0.5 * (1.0 + np.tanh(total / 2))
        return chances


def features(difficulty: Floats, signals: Mapping[Signal, Floats]) -> Floats:
    """Float [N, 1 + signals]: log-odds of the query's difficulty, then of each signal the logarithm
    of the doubt that it leaves, nats or 1 - margin. NaN stays NaN.

    Squares and products of these gained nothing in cross-validation on the embedded pair, and could
    make an unsure answer look better than a sure one.
    """
    query = np.clip(difficulty, 1e-4, 1 - 1e-4)
    doubts = [1 - v if name == "mean_margin" else -v for name, v in signals.items()]
    columns = [query / (1 - query), *(np.maximum(doubt, 1e-4) for doubt in doubts)]
    found: Floats = np.log(np.stack(columns, axis=1))
    return found


def load_combined(directory: Path) -> tuple[CombinedConfig, LinearModel]:
    """Raises ConfigurationError where a file is missing, damaged, or of another router."""
    config = read_config(directory, CombinedConfig)
    query = LinearModel.load(directory / QUERY)
    if query.config.weights_sha256 != config.query_sha256:
        raise ConfigurationError(
            f"{directory / QUERY} belongs to another {CONFIG_FILE} than {directory / CONFIG_FILE}"
        )
    return config, query
