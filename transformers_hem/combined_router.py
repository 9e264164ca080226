"""A CombinedRouter on disk: config.json and, in `query/`, the LinearRouter that it asks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from predictors.errors import ConfigurationError
from transformers_hem.calibration import CalibratedConfig
from transformers_hem.router_directory import CONFIG_FILE, LinearModel, read_config

QUERY = "query"
FORMS = 3

Signal = Literal["mean_logprob", "min_logprob", "mean_margin"]
Floats = NDArray[np.float64]


class CombinedConfig(CalibratedConfig):
    """A logistic model over `features`, `centre` and `scale` being of its plain part, and of
    `weights` one number a feature. `query_sha256` is of the linear router's weights."""

    version: Literal[1] = 1
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
        plain = 1 + FORMS * len(self.signals)
        if {len(self.centre), len(self.scale)} != {plain} or len(self.weights) != 3 * plain - 1:
            raise ValueError(f"centre, scale or weights don't fit {len(self.signals)} signals")
        return self

    def raw(self, difficulty: Floats, signals: Mapping[Signal, Floats]) -> Floats:
        """Float [N] in [0, 1] of a linear router's raw difficulties; NaN where a signal is."""
        centred = plain(difficulty, [signals[name] for name in self.signals]) - self.centre
        total = features(centred / self.scale) @ np.array(self.weights) + self.intercept
        chances: Floats = 0.5 * (1.0 + np.tanh(total / 2))
        return chances


def plain(difficulty: Floats, signals: Sequence[Floats]) -> Floats:
    """Float [N, 1 + 3 * signals]: log-odds of the query's difficulty, then of each signal as a
    probability p: p, log p and log(1 - p). A log-probability is below 0, a margin is not."""
    query = np.clip(difficulty, 1e-4, 1 - 1e-4)
    columns = [np.log(query / (1 - query))]
    for p in signals:
        columns += [p, np.log(np.maximum(p, 1e-6)), np.log(np.maximum(1 - p, 1e-4))]
    return np.stack(columns, axis=1)


def probability(name: Signal, values: Floats) -> Floats:
    """A signal as a number in [0, 1]; NaN stays NaN."""
    return np.clip(values if name == "mean_margin" else np.exp(values), 0.0, 1.0)


def features(standard: Floats) -> Floats:
    """What the logistic model sees: the plain part, the query's odds times each, and squares."""
    return np.hstack([standard, standard[:, :1] * standard[:, 1:], standard**2])


def load_combined(directory: Path) -> tuple[CombinedConfig, LinearModel]:
    """Raises ConfigurationError where a file is missing, damaged, or of another router."""
    config = read_config(directory, CombinedConfig)
    query = LinearModel.load(directory / QUERY)
    if query.config.weights_sha256 != config.query_sha256:
        raise ConfigurationError(
            f"{directory / QUERY} belongs to another {CONFIG_FILE} than {directory / CONFIG_FILE}"
        )
    return config, query
