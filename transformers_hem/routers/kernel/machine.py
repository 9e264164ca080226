"""Kernel logistic regression on what an encoder's layers say of a query."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from scipy.special import expit

from predictors.errors import ConfigurationError

Values = NDArray[np.float32]
Floats = NDArray[np.float64]

BLOCKS: Final = 3  # of equal width, see `layers.layer_features`
_ROWS = 256  # at a time: each is compared with all landmarks


@dataclass(frozen=True, slots=True)
class Projection:
    """From layer features [N, F] to [N, K]: each feature standardised, each block of them scaled to
    length 1, then principal components.

    `mean` and `rate` (one over the deviation) float32 [F], `centre` float32 [F], `components`
    float32 [F, K].
    """

    mean: Values
    rate: Values
    centre: Values
    components: Values

    def __call__(self, features: Values) -> Values:
        return np.asarray((self.scaled(features) - self.centre) @ self.components, np.float32)

    def scaled(self, features: Values) -> Values:
        wide = features.shape[1] // BLOCKS
        blocks = ((features - self.mean) * self.rate).reshape(len(features), BLOCKS, wide)
        lengths = np.linalg.norm(blocks, axis=2, keepdims=True)
        found = blocks / np.maximum(lengths * np.float32(BLOCKS**0.5), np.float32(1e-6))
        return np.asarray(found.reshape(features.shape), np.float32)


@dataclass(frozen=True, slots=True)
class Kernel:
    """P(edge right) and P(cloud right) of a query q: the logistic function of intercepts + sum over
    i of weights[i] exp(-gamma |p(q) - landmarks[i]|^2), p the projection.

    `landmarks` float32 [M, K] are training queries, projected; `weights` float32 [M, 2],
    `intercepts` float32 [2].
    """

    projection: Projection
    landmarks: Values
    weights: Values
    intercepts: Values
    gamma: float

    def difficulty(self, features: Values) -> Floats:
        """[N] in [0, 1] of layer features [N, F]: (1 + P(cloud right) - P(edge right)) / 2."""
        starts = range(0, len(features), _ROWS)
        sums = [self._sums(features[start : start + _ROWS]) for start in starts]
        right = expit(np.concatenate([np.zeros((0, 2)), *sums]))
        return np.asarray((1 + right[:, 1] - right[:, 0]) / 2)

    def _sums(self, features: Values) -> Floats:
        alike = similarity(self.projection(features), self.landmarks, self.gamma)
        return np.asarray(alike @ self.weights + self.intercepts, dtype=np.float64)

    def save(self, path: Path) -> None:
        """Landmarks and components in 16 bits, to which training has rounded them already."""
        tensors = {f.name: getattr(self.projection, f.name) for f in fields(Projection)}
        tensors |= {"weights": self.weights, "intercepts": self.intercepts}
        tensors["gamma"] = np.array([self.gamma])
        tensors["landmarks"] = self.landmarks.astype(np.float16)
        tensors["components"] = self.projection.components.astype(np.float16)
        path.write_bytes(save_tensors(tensors))

    @classmethod
    def load(cls, path: Path) -> "Kernel":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        try:
            tensors = load_tensors(path.read_bytes())
            floats = {name: tensors[name].astype(np.float32) for name in _TENSORS}
            (gamma,) = tensors["gamma"].tolist()
            count, wide = len(floats["landmarks"]), len(floats["mean"])
            small = floats["components"].shape[-1]
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
            raise ConfigurationError(f"{path} is not a router's kernel: {error}") from error
        expected = {
            **dict.fromkeys((f.name for f in fields(Projection)), (wide,)),
            "components": (wide, small),
            "landmarks": (count, small),
            "weights": (count, 2),
            "intercepts": (2,),
        }
        fits = expected == {name: values.shape for name, values in floats.items()}
        finite = all(np.isfinite(values).all() for values in (*floats.values(), gamma))
        if not (fits and finite) or wide % BLOCKS or gamma <= 0:
            raise ConfigurationError(
                f"{path} holds no landmarks [M, K] with weights [M, 2] and components [F, K]"
            )
        projection = Projection(*(floats[field.name] for field in fields(Projection)))
        return cls(projection, floats["landmarks"], floats["weights"], floats["intercepts"], gamma)


_TENSORS = (*(field.name for field in fields(Projection)), "landmarks", "weights", "intercepts")


def similarity(queries: Values, landmarks: Values, gamma: float) -> Values:
    """exp(-gamma |q - l|^2) in (0, 1], float32 [N, M]."""
    own, theirs = (np.einsum("nk,nk->n", each, each) for each in (queries, landmarks))
    distances = np.maximum(own[:, None] + theirs - 2 * (queries @ landmarks.T), 0)
    return np.asarray(np.exp(np.float32(-gamma) * distances), np.float32)
