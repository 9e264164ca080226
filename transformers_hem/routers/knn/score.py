"""Mines the query by the nearest labelled queries in an encoder's embedding space.

On disk: an encoder router's files and neighbours.safetensors, the labelled queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from safetensors.numpy import save
from scipy.special import softmax

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters, Scores
from transformers_hem.arrays import Floats, Values
from transformers_hem.routers.directory import locate, read_file, require_finite, tensors_of
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.network import Output, OutputKind
from transformers_hem.routers.encoder.router import (
    ENCODER,
    EncoderConfig,
    EncoderParameters,
    EncoderRouter,
    read_encoder_config,
)

NEIGHBOURS_FILE = "neighbours.safetensors"


class NeighbourConfig(EncoderConfig):
    """`k` neighbours, weighted by softmax of cosine / `temperature`."""

    algorithm: Literal["KNNRouter"] = "KNNRouter"
    k: int = Field(ge=1)
    temperature: float = Field(gt=0)


def embed(states: Sequence[Output]) -> Values:
    """[N, D] of length 1, from N times [T, D] (last hidden states, averaged over the tokens) or [D]
    (a model that pools by itself)."""
    pooled = np.stack([each if each.ndim == 1 else each.mean(axis=0) for each in states])
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    return np.asarray(pooled / np.maximum(norms, np.float32(1e-12)))


def nearest(similarity: Values, k: int) -> NDArray[np.intp]:
    """Columns of the k greatest of each row, greatest first; of equal ones the first."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def weighted(near: Values, targets: Floats, temperature: float) -> Floats:
    """Mean of neighbours' targets [N, k], weighted by softmax of similarity / temperature."""
    weights = softmax(near.astype(np.float64) / temperature, axis=1)
    # Rounding must not carry a mean of numbers in [0, 1] out of it.
    return np.asarray(np.clip((weights * targets).sum(axis=1), 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`embeddings` float32 [M, D] of length 1; `targets` float64 [M] in [0, 1], 1 = hardest."""

    embeddings: Values
    targets: Floats

    def difficulty(self, queries: Values, k: int, temperature: float) -> Floats:
        """Float [N] in [0, 1] of embeddings [N, D]."""
        similarity = queries @ self.embeddings.T
        chosen = nearest(similarity, k)
        near = np.take_along_axis(similarity, chosen, axis=1)
        return weighted(near, self.targets[chosen], temperature)

    def save(self, path: Path) -> None:
        """In 16 bits, which moves a cosine by less than 0.001."""
        halved, targets = self.embeddings.astype(np.float16), self.targets.astype(np.float32)
        path.write_bytes(save({"embeddings": halved, "targets": targets}))

    @classmethod
    def load(cls, path: Path) -> "Neighbours":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        with tensors_of(read_file(path), path, "neighbours") as tensors:
            embeddings = tensors["embeddings"].astype(np.float32)
            targets = tensors["targets"].astype(np.float64)
            if embeddings.ndim != 2 or targets.shape != (len(embeddings),):
                raise ValueError("it must hold embeddings [M, D] with M targets")
            require_finite(embeddings)
            if not ((targets >= 0) & (targets <= 1)).all():
                raise ValueError("its targets must be in [0, 1]")
        return cls(embeddings, targets)


class KNNParameters(EncoderParameters):
    """`router` is required: it holds the labelled queries' embeddings."""

    router: str


class KNNRouter(EncoderRouter):
    """score = mean difficulty of the k nearest labelled queries, weighted by their cosine.

    Queries are scored in a thread of the router's own, a row of each request in turn.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = KNNParameters
    output: ClassVar[OutputKind] = "states"

    def __init__(self, parameters: KNNParameters) -> None:
        path = locate(parameters.router)
        config = self.calibrated = read_encoder_config(path, NeighbourConfig, "KNNRouter")
        self._k, self._temperature = config.k, config.temperature
        self._neighbours = Neighbours.load(path / NEIGHBOURS_FILE)
        if len(self._neighbours.targets) < config.k:
            raise ConfigurationError(
                f"{path / NEIGHBOURS_FILE} has {len(self._neighbours.targets)} queries; "
                f"config.json asks for the nearest {config.k}"
            )
        self.open_encoder(EncoderDirectory.open(str(path / ENCODER), config.max_tokens), parameters)

    def difficulty(self, outputs: list[Output]) -> Scores:
        return self._neighbours.difficulty(embed(outputs), self._k, self._temperature)
