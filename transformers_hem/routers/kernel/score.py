"""Mines the query by kernel logistic regression on the middle layers of an encoder.

On disk: an encoder router's files and kernel.safetensors.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from safetensors.numpy import save
from scipy.special import expit

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
from transformers_hem.routers.kernel.scaling import Scaling
from transformers_hem.routers.targets import expected_difference

KERNEL_FILE = "kernel.safetensors"
BLOCKS: Final = 3  # of equal width, see `torch_network.layer_features`
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
        unit = blocks / np.maximum(lengths * np.float32(BLOCKS**0.5), np.float32(1e-6))
        return np.asarray(unit.reshape(features.shape), np.float32)


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
        """[N] in [0, 1] of layer features [N, F]."""
        right = expit(self.sums(features))
        return expected_difference(right[:, 0], right[:, 1])

    def sums(self, features: Values) -> Floats:
        """[N, 2], of which the logistic function is taken."""
        starts = range(0, len(features), _ROWS)
        sums = [self._sums(features[start : start + _ROWS]) for start in starts]
        return np.concatenate([np.zeros((0, 2)), *sums])

    def scaled(self, scaling: Scaling) -> "Kernel":
        weights = (self.weights * scaling.factors).astype(np.float32)
        intercepts = (self.intercepts * scaling.factors + scaling.shifts).astype(np.float32)
        return replace(self, weights=weights, intercepts=intercepts)

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
        path.write_bytes(save(tensors))

    @classmethod
    def load(cls, path: Path) -> "Kernel":
        """Raises ConfigurationError naming the file and what is wrong with it."""
        with tensors_of(read_file(path), path, "kernel") as tensors:
            floats = {name: tensors[name].astype(np.float32) for name in _TENSORS}
            (gamma,) = tensors["gamma"].tolist()
            count, wide = len(floats["landmarks"]), len(floats["mean"])
            small = floats["components"].shape[-1]
            expected = {
                **dict.fromkeys((f.name for f in fields(Projection)), (wide,)),
                "components": (wide, small),
                "landmarks": (count, small),
                "weights": (count, 2),
                "intercepts": (2,),
            }
            shapes = {name: values.shape for name, values in floats.items()}
            if shapes != expected or wide % BLOCKS or not gamma > 0:
                raise ValueError(
                    "it must hold landmarks [M, K] with weights [M, 2] and components [F, K]"
                )
            require_finite(*floats.values(), gamma)
        projection = Projection(*(floats[field.name] for field in fields(Projection)))
        return cls(projection, floats["landmarks"], floats["weights"], floats["intercepts"], gamma)


_TENSORS = (*(field.name for field in fields(Projection)), "landmarks", "weights", "intercepts")


def similarity(queries: Values, landmarks: Values, gamma: float) -> Values:
    """exp(-gamma |q - l|^2) in (0, 1], float32 [N, M]."""
    own, theirs = (np.einsum("nk,nk->n", each, each) for each in (queries, landmarks))
    distances = np.maximum(own[:, None] + theirs - 2 * (queries @ landmarks.T), 0)
    return np.asarray(np.exp(np.float32(-gamma) * distances), np.float32)


class KernelConfig(EncoderConfig):
    algorithm: Literal["KernelRouter"] = "KernelRouter"


class KernelParameters(EncoderParameters):
    """`router`: a directory that `hem train` wrote, or `embedded:best`."""

    router: str = "embedded:best"


class KernelRouter(EncoderRouter):
    """score = the `expected_difference` of P(edge right) and P(cloud right), each from how alike an
    encoder's middle layers see the query and training queries (see `Kernel`), made a probability.

    Queries are scored in a thread of the router's own, a row of each request in turn.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = KernelParameters
    output: ClassVar[OutputKind] = "layers"

    def __init__(self, parameters: KernelParameters) -> None:
        path = locate(parameters.router)
        config = self.calibrated = read_encoder_config(path, KernelConfig, "KernelRouter")
        self._kernel = Kernel.load(path / KERNEL_FILE)
        self.open_encoder(EncoderDirectory.open(str(path / ENCODER), config.max_tokens), parameters)

    def difficulty(self, outputs: list[Output]) -> Scores:
        return self._kernel.difficulty(np.stack(outputs))
