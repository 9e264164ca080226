"""A LinearRouter on disk: config.json and weights.safetensors, checked when it is loaded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from predictors.errors import ConfigurationError
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.routers.directory import (
    CONFIG_FILE,
    new_directory,
    read_config,
    read_file,
    sha256,
    write_config,
)
from transformers_hem.routers.linear.features import (
    LENGTHS,
    FeatureConfig,
    TextFeatures,
    Values,
    extract,
)

WEIGHTS_FILE = "weights.safetensors"


Link = Literal["logistic", "clip", "difference"]


SUMS: dict[Link, int] = {"logistic": 1, "clip": 1, "difference": 2}


class RouterConfig(CalibratedConfig):
    """What config.json says.

    `link` turns the linear sums into a difficulty, see the function of that name; `intercepts` has
    one number a sum. `data_sha256` is of the training file, `weights_sha256` of
    weights.safetensors; `epsilon` is what the edge was allowed to be worse by, in labels' units.
    """

    version: Literal[2] = 2
    algorithm: Literal["LinearRouter"] = "LinearRouter"
    link: Link
    intercepts: tuple[float, ...]
    features: FeatureConfig
    seed: int
    rows: int
    data_sha256: str
    epsilon: float = Field(default=0.0, ge=0)
    metrics: dict[str, float | int | str]
    weights_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A linear model over text features. `weights` is float32 [features.config.width, sums]."""

    config: RouterConfig
    features: TextFeatures
    weights: Values

    def score(self, text: str) -> float:
        """Difficulty of one query in [0, 1]."""
        return link(self.config.link, self.sums(text))

    def sums(self, text: str) -> list[float]:
        columns, values = self.features.row(extract(text, self.config.features.buckets))
        totals: list[float] = (values @ self.weights[columns]).tolist()
        return [total + more for total, more in zip(totals, self.config.intercepts, strict=True)]

    def save(self, out: Path) -> None:
        """Writes the directory aside, then renames it into place; replaces an older router only."""
        tensors = save_tensors(self._tensors())
        config = self.config.model_copy(update={"weights_sha256": sha256(tensors)})
        with new_directory(out) as aside:
            (aside / WEIGHTS_FILE).write_bytes(tensors)
            write_config(aside, config)

    def _tensors(self) -> dict[str, np.ndarray]:
        """Only the buckets that training saw: the rest weigh nothing. In half precision, which
        training has rounded to already."""
        seen = np.flatnonzero(self.features.idf)
        count = self.config.features.buckets
        return {
            "buckets": seen.astype(np.uint32),
            "idf": self.features.idf[seen].astype(np.float16),
            "weights": self.weights[seen].astype(np.float16),
            "length_mean": self.features.mean,
            "length_rate": self.features.rate,
            "length_weights": self.weights[count:],
        }

    @classmethod
    def load(cls, directory: Path) -> "LinearModel":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        config = read_config(directory, RouterConfig)
        path = directory / WEIGHTS_FILE
        content = read_file(path)
        if sha256(content) != config.weights_sha256:
            raise ConfigurationError(
                f"{path} is damaged, or belongs to another {CONFIG_FILE}: its sha256 differs"
            )
        try:
            return cls._assemble(config, load_tensors(content))
        except (SafetensorError, KeyError, ValueError, IndexError) as error:
            raise ConfigurationError(f"{path} is not a router's weights: {error}") from error

    @classmethod
    def _assemble(cls, config: RouterConfig, tensors: dict[str, np.ndarray]) -> "LinearModel":
        seen = tensors["buckets"].astype(np.int64)
        idf = np.zeros(config.features.buckets, dtype=np.float32)
        idf[seen] = tensors["idf"]
        sums = SUMS[config.link]
        if len(config.intercepts) != sums:
            raise ValueError(f"{config.link} has {sums} sums, not {len(config.intercepts)}")
        weights = np.zeros((config.features.width, sums), dtype=np.float32)
        weights[seen] = tensors["weights"]
        weights[config.features.buckets :] = tensors["length_weights"]
        mean, rate = tensors["length_mean"], tensors["length_rate"]
        if mean.shape != (2, len(LENGTHS)) or rate.shape != (2, len(LENGTHS)):
            raise ValueError(f"it has not {len(LENGTHS)} lengths, twice")
        if not all(np.isfinite(array).all() for array in (idf, weights, mean, rate)):
            raise ValueError("it has values that are not finite")
        return cls(config, TextFeatures(config.features, idf, mean, rate), weights)


def link(name: Link, sums: Sequence[float]) -> float:
    """From linear sums to a difficulty in [0, 1].

    `clip`: z cut to [0, 1]; `logistic`: P(hard) = 1 / (1 + exp(-z)); `difference`: of P(edge right)
    and P(cloud right), in that order, (1 + P(cloud right) - P(edge right)) / 2.
    """
    if name == "clip":
        return min(max(sums[0], 0.0), 1.0)
    chances = [0.5 * (1.0 + math.tanh(z / 2)) for z in sums]  # never overflows, as exp(-z) does
    return chances[0] if name == "logistic" else (1.0 + chances[1] - chances[0]) / 2
