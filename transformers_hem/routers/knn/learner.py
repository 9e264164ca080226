"""Trains a KNNRouter: embeds labelled queries, chooses k and temperature by cross-validation."""

from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.evaluation.quality import Floats, curve
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Learner, Metrics
from transformers_hem.routers.directory import new_directory, write_config
from transformers_hem.routers.encoder.config import (
    ENCODER,
    NEIGHBOURS_FILE,
    NeighbourConfig,
    fingerprints,
)
from transformers_hem.routers.encoder.files import (
    EncoderTraining,
    described,
    open_source,
    require_libraries,
    run_all,
    write_encoder,
)
from transformers_hem.routers.encoder.tokens import QueryTokens
from transformers_hem.routers.held_out import folds
from transformers_hem.routers.judgement import judge
from transformers_hem.routers.knn.neighbours import (
    Neighbours,
    embed,
    nearest,
    weighted,
)
from transformers_hem.routers.targets import difference, require_learnable

NEIGHBOURS = (4, 16, 64, 256)
TEMPERATURES = (0.02, 0.05, 0.1)

Candidate = tuple[int, float]


class KNNLearner(Learner):
    Parameters: ClassVar[type[AlgorithmParameters]] = EncoderTraining

    def __init__(self, parameters: EncoderTraining) -> None:
        require_libraries(parameters.format)
        self._parameters = parameters

    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        require_learnable(labels)
        with new_directory(out) as aside:
            self._write_encoder(aside / ENCODER)
            embeddings = run_all(
                aside / ENCODER,
                self._parameters.max_tokens,
                labels.queries,
                output="states",
                of=embed,
            )
            (k, temperature), raw = _best(embeddings, labels, seed)
            Neighbours(embeddings, difference(labels)).save(aside / NEIGHBOURS_FILE)
            learner = f"{self._parameters.source}, {k} neighbours at {temperature:g}"
            judgement = judge(raw, labels, seed)
            config = NeighbourConfig(
                k=k,
                temperature=temperature,
                files=fingerprints(aside),
                **described(self._parameters, labels, labels, judgement, learner, seed),
            )
            write_config(aside, config)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}

    def _write_encoder(self, to: Path) -> None:
        from transformers_hem.routers.encoder.torch_network import load_model

        source = open_source(self._parameters)
        model = load_model(source, output="states")
        write_encoder(model, QueryTokens(source), to, self._parameters.format, output="states")


def _best(embeddings: NDArray[np.float32], labels: Labels, seed: int) -> tuple[Candidate, Floats]:
    """The candidate with the best curve, and its difficulty of each row from the other folds."""
    scores = _out_of_fold(embeddings, labels, seed)
    areas = {each: curve(found, labels.edge, labels.cloud).mean() for each, found in scores.items()}
    best = max(areas, key=areas.__getitem__)
    return best, scores[best]


def _out_of_fold(
    embeddings: NDArray[np.float32], labels: Labels, seed: int
) -> dict[Candidate, Floats]:
    pairs = folds(labels.hard, seed)
    known = min(len(train) for train, _ in pairs)
    candidates = [*product([k for k in NEIGHBOURS if k <= known], TEMPERATURES)]
    scores = {candidate: np.zeros(len(embeddings)) for candidate in candidates}
    targets = difference(labels)
    for train, test in pairs:
        similarity = embeddings[test] @ embeddings[train].T
        chosen = nearest(similarity, max(k for k, _ in candidates))
        near = np.take_along_axis(similarity, chosen, axis=1)
        for k, temperature in candidates:
            found = targets[train][chosen[:, :k]]
            scores[k, temperature][test] = weighted(near[:, :k], found, temperature)
    return scores
