"""Labelled queries in an encoder's embedding space, and what the nearest of them say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy.special import softmax

from predictors.errors import ConfigurationError
from transformers_hem.routers.encoder.network import Output

Floats = NDArray[np.float64]


def embed(states: Sequence[Output]) -> NDArray[np.float32]:
    """[N, D] of length 1, from N times [T, D] (last hidden states, averaged over the tokens) or [D]
    (a model that pools by itself)."""
    pooled = np.stack([each if each.ndim == 1 else each.mean(axis=0) for each in states])
    norms = np.linalg.norm(pooled, axis=1, keepdims=True)
    found: NDArray[np.float32] = pooled / np.maximum(norms, np.float32(1e-12))
    return found


def nearest(similarity: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Columns of the k greatest of each row, greatest first; of equal ones the first."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def weighted(near: NDArray[np.float32], targets: Floats, temperature: float) -> Floats:
    """Mean of neighbours' targets [N, k], weighted by softmax of similarity / temperature."""
    weights = softmax(near.astype(np.float64) / temperature, axis=1)
    # Rounding must not carry a mean of numbers in [0, 1] out of it.
    found: Floats = np.clip((weights * targets).sum(axis=1), 0.0, 1.0)
    return found


@dataclass(frozen=True, slots=True)
class Neighbours:
    """`embeddings` float32 [M, D] of length 1; `targets` float64 [M] in [0, 1], 1 = hardest."""

    embeddings: NDArray[np.float32]
    targets: Floats

    def difficulty(self, queries: NDArray[np.float32], k: int, temperature: float) -> Floats:
        """Float [N] in [0, 1] of embeddings [N, D]."""
        similarity = queries @ self.embeddings.T
        chosen = nearest(similarity, k)
        near = np.take_along_axis(similarity, chosen, axis=1)
        return weighted(near, self.targets[chosen], temperature)

    def save(self, path: Path) -> None:
        """In 16 bits, which moves a cosine by less than 0.001."""
        tensors = {
            "embeddings": self.embeddings.astype(np.float16),
            "targets": self.targets.astype(np.float32),
        }
        path.write_bytes(save_tensors(tensors))

    @classmethod
    def load(cls, path: Path) -> "Neighbours":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        try:
            tensors = load_tensors(path.read_bytes())
            embeddings = tensors["embeddings"].astype(np.float32)
            targets = tensors["targets"].astype(np.float64)
        except (OSError, SafetensorError, KeyError) as error:
            raise ConfigurationError(f"{path} is not a router's neighbours: {error}") from error
        fits = embeddings.ndim == 2 and targets.shape == (len(embeddings),)
        if not (fits and np.isfinite(embeddings).all() and ((targets >= 0) & (targets <= 1)).all()):
            raise ConfigurationError(f"{path} holds no embeddings [M, D] with M targets in [0, 1]")
        return cls(embeddings, targets)
