"""Trains a KernelRouter: a kernel machine on the middle layers of an encoder that stays as it is.

It takes minutes on a CPU, most of them to run the encoder, and needs no rows set apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.linalg import eigh
from scipy.special import expit
from sklearn.decomposition import PCA

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.arrays import Floats, Indices, Values
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.encoder.router import ENCODER
from transformers_hem.routers.encoder.training import EncoderLearner, EncoderTraining, run_as_it_is
from transformers_hem.routers.fitting import OutOfFold, folds, logistic
from transformers_hem.routers.kernel.scaling import Scaling, scaled_apart
from transformers_hem.routers.kernel.score import (
    KERNEL_FILE,
    Kernel,
    KernelConfig,
    Projection,
    similarity,
)
from transformers_hem.routers.targets import expected_difference, rightness

LEAST_EIGENVALUE = 1e-3  # of a kernel matrix whose diagonal is 1


class KernelTraining(EncoderTraining):
    """Of the kernel machine: `components` of the layers' features, `landmarks` that a query is
    compared with, `gamma` of the kernel exp(-gamma d^2), `c` the inverse of the regularisation's
    strength. The defaults are from cross-validation on MMLU, with 1,530 labels and with 7,900;
    choosing `c` anew in each training did worse there than always 1."""

    components: int = Field(default=256, ge=1)
    landmarks: int = Field(default=3000, ge=1, le=10_000)
    gamma: float = Field(default=2.0, gt=0)
    c: float = Field(default=1.0, gt=0)


# Writes the encoder to a new directory; the layer features [N, F] of all queries, as it will serve
# them.
layer_features_of = partial(run_as_it_is, output="layers", of=np.stack)


class KernelLearner(EncoderLearner[KernelTraining]):
    Parameters: ClassVar[type[AlgorithmParameters]] = KernelTraining

    def learn(self, labels: Labels, directory: Path, seed: int) -> KernelConfig:
        chosen, unrounded = self.chosen, None
        features = layer_features_of(chosen, labels, directory / ENCODER, chosen.format)
        paired = labels.paired
        kernel, out_of_fold = learn(features, labels, chosen, seed)
        self.out_of_fold = out_of_fold
        kernel.save(directory / KERNEL_FILE)
        if chosen.format == "int8":
            exact = layer_features_of(chosen, labels, directory.parent / "float32", "onnx")
            unrounded = learn(exact, labels, chosen, seed)[1].scores[paired]
        learner = f"kernel logistic on layers of {chosen.source}, C={chosen.c:g}"
        return KernelConfig(
            **self.encoder_fields(directory, labels),
            **assess(
                out_of_fold.scores[paired],
                labels,
                seed,
                learner,
                tested=labels.subset(paired),
                unrounded=unrounded,
            ),
        )


def learn(
    features: Values, labels: Labels, chosen: KernelTraining, seed: int
) -> tuple[Kernel, OutOfFold]:
    """The kernel of layer features [N, F] of the labels' queries; and the raw difficulty of each
    row by kernels of the same kind that never saw it, nor its features."""
    parts, sums = folds(labels.hard, seed), np.zeros((len(features), 2))
    for train, test in parts:
        part = fit(features[train], labels.subset(train), chosen, seed)
        sums[test] = part.sums(features[test])
    return settled(fit(features, labels, chosen, seed), sums, labels, parts)


def settled(
    kernel: Kernel, sums: Floats, labels: Labels, parts: Sequence[tuple[Indices, Indices]]
) -> tuple[Kernel, OutOfFold]:
    """As `learn`, of sums [N, 2] out of fold. Rows with weights, as those of a retraining, are
    scaled, see `scaling.py`; those of `hem train` have none."""
    if labels.weights is None:
        right = expit(sums)
        return kernel, OutOfFold.of(expected_difference(right[:, 0], right[:, 1]), parts)
    apart = scaled_apart(sums, labels, parts)
    return kernel.scaled(Scaling.of(sums, labels)), OutOfFold.of(apart, parts)


def fit(features: Values, labels: Labels, chosen: KernelTraining, seed: int) -> Kernel:
    space = Space.of(features, chosen, seed)
    return space.kernel(space.mapped(features), labels, chosen.c)


@dataclass(frozen=True, slots=True)
class Space:
    """Where queries are compared: of layer features alone, no label has a part in it. `basis`: see
    `_basis`."""

    projection: Projection
    landmarks: Values
    basis: Floats
    gamma: float

    @classmethod
    def of(cls, features: Values, chosen: KernelTraining, seed: int) -> "Space":
        projection = _projection(features, chosen.components)
        rows = np.random.default_rng(seed).permutation(_half(projection(features)))
        landmarks = rows[: chosen.landmarks]
        basis = _basis(similarity(landmarks, landmarks, chosen.gamma))
        return cls(projection, landmarks, basis, chosen.gamma)

    def mapped(self, features: Values) -> Floats:
        """Coordinates [N, R] of layer features [N, F]."""
        rows = _half(self.projection(features))
        return np.asarray(similarity(rows, self.landmarks, self.gamma) @ self.basis)

    def kernel(self, mapped: Floats, labels: Labels, c: float) -> Kernel:
        """Of the labels' queries, by their coordinates."""
        sides = zip(rightness(labels), labels.side_weights, strict=True)
        parts = [logistic(mapped, right, c, weights) for right, weights in sides]
        weights = self.basis @ np.stack([part for part, _ in parts], axis=1)
        intercepts = np.array([each for _, each in parts], np.float32)
        by_side = weights.astype(np.float32), intercepts
        return Kernel(self.projection, self.landmarks, *by_side, self.gamma)


def _basis(kernel: Values) -> Floats:
    """B [M, R] of a kernel matrix [M, M] with kernel = (B B^T)^-1 on the directions that it spans:
    k(q, landmarks) B are the coordinates of q in the landmarks' span (Nystroem's method; Williams
    and Seeger, 2000). Directions in which landmarks hardly differ are left out: they would turn
    rounding errors into scores."""
    values, vectors = eigh(kernel.astype(np.float64))
    spans = values > LEAST_EIGENVALUE
    return np.asarray(vectors[:, spans] / np.sqrt(values[spans]))


def _projection(features: Values, components: int) -> Projection:
    deviation = features.std(axis=0)
    plain = Projection(
        mean=features.mean(axis=0),
        rate=(1 / np.where(deviation > 0, deviation, 1)).astype(np.float32),
        centre=np.zeros(features.shape[1], np.float32),
        components=np.zeros((features.shape[1], 0), np.float32),
    )
    scaled = plain.scaled(features)
    count = min(components, *scaled.shape)
    fitted = PCA(count, svd_solver="covariance_eigh").fit(scaled)
    return replace(plain, centre=fitted.mean_, components=_half(fitted.components_.T))


def _half(values: Values) -> Values:
    """In as many digits as are written."""
    return np.asarray(values.astype(np.float16), np.float32)
