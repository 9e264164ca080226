"""Mines the query by a linear model over hashed n-grams.

On disk: config.json and weights.safetensors, checked when they are loaded.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from safetensors.numpy import save

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.arrays import Values
from transformers_hem.routers.base import TrainedConfig, TrainedRouter
from transformers_hem.routers.directory import (
    locate,
    read_config,
    read_file,
    require_finite,
    sha256,
    tensors_of,
)
from transformers_hem.routers.linear.features import LENGTHS, FeatureConfig, TextFeatures, extract
from transformers_hem.routers.targets import expected_difference

WEIGHTS_FILE = "weights.safetensors"

Link = Literal["logistic", "clip", "difference"]
SUMS: dict[Link, int] = {"logistic": 1, "clip": 1, "difference": 2}


class LinearConfig(TrainedConfig):
    """What config.json says.

    `link` turns the linear sums into a difficulty, see the function of that name; `intercepts` has
    one number a sum. `weights_sha256` is of weights.safetensors.
    """

    version: Literal[2] = 2
    algorithm: Literal["LinearRouter"] = "LinearRouter"
    link: Link
    intercepts: tuple[float, ...]
    features: FeatureConfig
    weights_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A linear model over text features. `weights` is float32 [features.config.width, sums]."""

    config: LinearConfig
    features: TextFeatures
    weights: Values

    def score(self, text: str) -> float:
        """Difficulty of one query in [0, 1]."""
        columns, values = self.features.row(extract(text, self.config.features.buckets))
        totals: list[float] = (values @ self.weights[columns]).tolist()
        sums = [total + more for total, more in zip(totals, self.config.intercepts, strict=True)]
        return link(self.config.link, sums)

    def write(self, directory: Path) -> LinearConfig:
        """Writes the weights, and returns the config with their sha256, not written yet.

        Only the buckets that training saw: the rest weigh nothing. In half precision, which
        training has rounded to already.
        """
        seen = np.flatnonzero(self.features.idf)
        tensors = save(
            {
                "buckets": seen.astype(np.uint32),
                "idf": self.features.idf[seen].astype(np.float16),
                "weights": self.weights[seen].astype(np.float16),
                "length_mean": self.features.mean,
                "length_rate": self.features.rate,
                "length_weights": self.weights[self.config.features.buckets :],
            }
        )
        (directory / WEIGHTS_FILE).write_bytes(tensors)
        return self.config.model_copy(update={"weights_sha256": sha256(tensors)})

    @classmethod
    def load(cls, directory: Path) -> "LinearModel":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        config = read_config(directory, LinearConfig, "LinearRouter")
        path, sums = directory / WEIGHTS_FILE, SUMS[config.link]
        with tensors_of(read_file(path, config.weights_sha256), path, "weights") as tensors:
            seen = tensors["buckets"].astype(np.int64)
            idf = np.zeros(config.features.buckets, dtype=np.float32)
            idf[seen] = tensors["idf"]
            if len(config.intercepts) != sums:
                raise ValueError(f"{config.link} has {sums} sums, not {len(config.intercepts)}")
            weights = np.zeros((config.features.width, sums), dtype=np.float32)
            weights[seen] = tensors["weights"]
            weights[config.features.buckets :] = tensors["length_weights"]
            mean, rate = tensors["length_mean"], tensors["length_rate"]
            if mean.shape != (2, len(LENGTHS)) or rate.shape != (2, len(LENGTHS)):
                raise ValueError(f"it must have {len(LENGTHS)} lengths, twice")
            require_finite(idf, weights, mean, rate)
        return cls(config, TextFeatures(config.features, idf, mean, rate), weights)


def link(name: Link, sums: Sequence[float]) -> float:
    """From linear sums to a difficulty in [0, 1].

    `clip`: z cut to [0, 1]; `logistic`: P(hard) = 1 / (1 + exp(-z)); `difference`: of P(edge right)
    and P(cloud right), in that order, their `expected_difference`.
    """
    if name == "clip":
        return min(max(sums[0], 0.0), 1.0)
    # Not scipy's expit: an edge node loads no scipy for this, and exp(-z) would overflow.
    chances = [0.5 * (1.0 + math.tanh(z / 2)) for z in sums]
    return chances[0] if name == "logistic" else expected_difference(*chances)


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
        self.calibrated = self._model.config

    def raw(self, batch: Batch) -> Scores:
        return np.array([self._model.score(text) for text in batch.texts])
