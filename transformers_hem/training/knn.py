"""Trains a KNNRouter: embeds labelled queries, chooses k and temperature by cross-validation."""

from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.encoder_router import (
    ENCODER,
    NEIGHBOURS_FILE,
    NeighbourConfig,
    fingerprints,
)
from transformers_hem.encoders.neighbours import Neighbours, embed, nearest, weighted
from transformers_hem.encoders.tokens import QueryTokens
from transformers_hem.router_directory import new_directory, write_config
from transformers_hem.training.encoder_files import (
    EncoderTraining,
    open_source,
    require_libraries,
    run_all,
    write_encoder,
)
from transformers_hem.training.judgement import judge
from transformers_hem.training.learner import Learner, Metrics
from transformers_hem.training.quality import Floats, curve
from transformers_hem.training.rows import Labels
from transformers_hem.training.targets import difference, require_learnable

FOLDS = 5
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
            config = self._config(labels, k, temperature, raw, fingerprints(aside), seed)
            write_config(aside, config)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}

    def _write_encoder(self, to: Path) -> None:
        from transformers_hem.encoders.torch_network import load_model

        source = open_source(self._parameters)
        model = load_model(source, output="states")
        write_encoder(model, QueryTokens(source), to, self._parameters.format, output="states")

    def _config(
        self,
        labels: Labels,
        k: int,
        temperature: float,
        raw: Floats,
        files: dict[str, str],
        seed: int,
    ) -> NeighbourConfig:
        judgement = judge(raw, labels, seed)
        learner = f"{self._parameters.source}, {k} neighbours at {temperature:g}"
        return NeighbourConfig(
            k=k,
            temperature=temperature,
            max_tokens=self._parameters.max_tokens,
            encoder=self._parameters.source,
            threshold=judgement.threshold,
            probability=judgement.probability,
            scores=judgement.scores,
            seed=seed,
            rows=len(labels.queries),
            held_out_rows=len(labels.queries),
            data_sha256=labels.sha256,
            epsilon=labels.epsilon,
            metrics={"learner": learner, **judgement.metrics},
            files=files,
        )


def _best(embeddings: NDArray[np.float32], labels: Labels, seed: int) -> tuple[Candidate, Floats]:
    """The candidate with the best curve, and its difficulty of each row from the other folds."""
    scores = _out_of_fold(embeddings, labels, seed)
    areas = {each: curve(found, labels.edge, labels.cloud).mean() for each, found in scores.items()}
    best = max(areas, key=areas.__getitem__)
    return best, scores[best]


def _out_of_fold(
    embeddings: NDArray[np.float32], labels: Labels, seed: int
) -> dict[Candidate, Floats]:
    smallest = int(min(labels.hard.sum(), (~labels.hard).sum()))
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    pairs = list(folds.split(embeddings, labels.hard))
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
