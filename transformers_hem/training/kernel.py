"""Trains a KernelRouter: a kernel machine on the middle layers of an encoder that stays as it is.

It takes minutes on a CPU, most of them to run the encoder, and needs no rows set apart.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.linalg import eigh
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedKFold

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.encoder_router import ENCODER, KERNEL_FILE, KernelConfig, fingerprints
from transformers_hem.encoders.kernel import Floats, Kernel, Projection, Values, similarity
from transformers_hem.encoders.tokens import QueryTokens
from transformers_hem.router_directory import new_directory, write_config
from transformers_hem.training.encoder import lost
from transformers_hem.training.encoder_files import (
    EncoderTraining,
    Format,
    open_source,
    require_libraries,
    run_all,
    write_encoder,
)
from transformers_hem.training.judgement import judge
from transformers_hem.training.learner import Learner, Metrics
from transformers_hem.training.logistic import logistic
from transformers_hem.training.quality import curve
from transformers_hem.training.rows import Labels
from transformers_hem.training.targets import require_learnable, rightness

FOLDS = 5
STRENGTHS = (0.3, 1.0, 3.0, 10.0)
TOLERANCE = 1e-6
LEAST_EIGENVALUE = 1e-3  # of a kernel matrix whose diagonal is 1


class KernelTraining(EncoderTraining):
    """Of the kernel machine: `components` of the layers' features, `landmarks` that a query is
    compared with, `gamma` of the kernel exp(-gamma d^2). The defaults are from cross-validation on
    MMLU, with 1,530 labels and with 7,900; the regularisation is chosen anew in each training."""

    components: int = Field(default=256, ge=1)
    landmarks: int = Field(default=1500, ge=1, le=10_000)
    gamma: float = Field(default=2.0, gt=0)


class KernelLearner(Learner):
    Parameters: ClassVar[type[AlgorithmParameters]] = KernelTraining

    def __init__(self, parameters: KernelTraining) -> None:
        require_libraries(parameters.format)
        self._parameters = parameters

    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        require_learnable(labels)
        chosen = self._parameters
        with new_directory(out) as aside:
            features = layer_features_of(labels, chosen, chosen.format, aside / ENCODER)
            learned = learn(features, labels, chosen, seed)
            learned.kernel.save(aside / KERNEL_FILE)
            judgement = judge(learned.elsewhere, labels, seed)
            if chosen.format == "int8":
                exact = layer_features_of(labels, chosen, "onnx", aside.parent / "float32")
                unrounded = learn(exact, labels, chosen, seed).elsewhere
                judgement.metrics["apgr_lost_in_int8"] = lost(unrounded, learned.elsewhere, labels)
            learner = f"kernel logistic on layers of {chosen.source}, C={learned.strength:g}"
            config = KernelConfig(
                max_tokens=chosen.max_tokens,
                encoder=chosen.source,
                threshold=judgement.threshold,
                probability=judgement.probability,
                scores=judgement.scores,
                seed=seed,
                rows=len(labels.queries),
                held_out_rows=len(labels.queries),
                data_sha256=labels.sha256,
                epsilon=labels.epsilon,
                metrics={"learner": learner, **judgement.metrics},
                files=fingerprints(aside),
            )
            write_config(aside, config)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}


def layer_features_of(
    labels: Labels, chosen: EncoderTraining, written: Format, encoder: Path
) -> Values:
    """Writes the encoder to the new directory `encoder`; the layer features [N, F] of all queries,
    as it will serve them."""
    from transformers_hem.encoders.torch_network import load_model

    source = open_source(chosen)
    model = load_model(source, "states")
    write_encoder(model, QueryTokens(source), encoder, written, output="layers")
    found: Values = run_all(
        encoder, chosen.max_tokens, labels.queries, output="layers", of=np.stack
    )
    return found


@dataclass(frozen=True, slots=True)
class Learned:
    """`elsewhere`: raw difficulty of each row by kernels of the same kind that never saw it, nor
    its features; `strength` is what cross-validation chose."""

    kernel: Kernel
    strength: float
    elsewhere: Floats


def learn(features: Values, labels: Labels, chosen: KernelTraining, seed: int) -> Learned:
    """`features` float32 [N, F], of the labels' queries."""
    smallest = int(min(labels.hard.sum(), (~labels.hard).sum()))
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    scores = {strength: np.zeros(len(features)) for strength in STRENGTHS}
    for train, test in folds.split(features, labels.hard):
        kernels = fit(features[train], labels.subset(train), chosen, seed, STRENGTHS)
        for strength, kernel in zip(STRENGTHS, kernels, strict=True):
            scores[strength][test] = kernel.difficulty(features[test])
    areas = {c: curve(found, labels.edge, labels.cloud).mean() for c, found in scores.items()}
    best = max(areas, key=areas.__getitem__)
    (kernel,) = fit(features, labels, chosen, seed, (best,))
    return Learned(kernel, best, scores[best])


def fit(
    features: Values,
    labels: Labels,
    chosen: KernelTraining,
    seed: int,
    strengths: tuple[float, ...],
) -> list[Kernel]:
    """A kernel for each strength of C, on the same projection and landmarks."""
    projection = _projection(features, chosen.components)
    rows = _half(projection(features))
    landmarks = np.random.default_rng(seed).permutation(rows)[: chosen.landmarks]
    basis = _basis(similarity(landmarks, landmarks, chosen.gamma))
    mapped = similarity(rows, landmarks, chosen.gamma) @ basis
    kernels = []
    for strength in strengths:
        parts = [logistic(mapped, right, strength, TOLERANCE) for right in rightness(labels)]
        weights = basis @ np.stack([part for part, _ in parts], axis=1)
        intercepts = np.array([each for _, each in parts], np.float32)
        kernels.append(
            Kernel(projection, landmarks, weights.astype(np.float32), intercepts, chosen.gamma)
        )
    return kernels


def _basis(kernel: Values) -> Floats:
    """B [M, R] of a kernel matrix [M, M] with kernel = (B B^T)^-1 on the directions that it spans:
    k(q, landmarks) B are the coordinates of q in the landmarks' span (Nystroem's method; Williams
    and Seeger, 2000). Directions in which landmarks hardly differ are left out: they would turn
    rounding errors into scores."""
    values, vectors = eigh(kernel.astype(np.float64))
    spans = values > LEAST_EIGENVALUE
    found: Floats = vectors[:, spans] / np.sqrt(values[spans])
    return found


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
    found = PCA(count, svd_solver="covariance_eigh").fit(scaled)
    return replace(plain, centre=found.mean_, components=_half(found.components_.T))


def _half(values: Values) -> Values:
    """In as many digits as are written."""
    return np.asarray(values.astype(np.float16), np.float32)
