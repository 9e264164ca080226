"""Trains a KNNRouter: embeds labelled queries, chooses k and temperature by cross-validation."""

from itertools import product
from pathlib import Path

import numpy as np

from transformers_hem.arrays import Floats, Values
from transformers_hem.evaluation.quality import curve
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.encoder.router import ENCODER
from transformers_hem.routers.encoder.training import EncoderLearner, EncoderTraining, run_as_it_is
from transformers_hem.routers.fitting import folds
from transformers_hem.routers.knn.score import (
    NEIGHBOURS_FILE,
    NeighbourConfig,
    Neighbours,
    embed,
    nearest,
    weighted,
)
from transformers_hem.routers.targets import difference

NEIGHBOURS = (4, 16, 64, 256)
TEMPERATURES = (0.02, 0.05, 0.1)

Candidate = tuple[int, float]


class KNNLearner(EncoderLearner[EncoderTraining]):
    def learn(self, labels: Labels, directory: Path, seed: int) -> NeighbourConfig:
        chosen, encoder = self.chosen, directory / ENCODER
        embeddings = run_as_it_is(chosen, labels, encoder, chosen.format, output="states", of=embed)
        scores = _out_of_fold(embeddings, labels, seed)
        areas = {each: curve(s, labels.edge, labels.cloud).mean() for each, s in scores.items()}
        k, temperature = best = max(areas, key=areas.__getitem__)
        Neighbours(embeddings, difference(labels)).save(directory / NEIGHBOURS_FILE)
        learner = f"{chosen.source}, {k} neighbours at {temperature:g}"
        return NeighbourConfig(
            k=k,
            temperature=temperature,
            **self.encoder_fields(directory, labels),
            **assess(scores[best], labels, seed, learner),
        )


def _out_of_fold(embeddings: Values, labels: Labels, seed: int) -> dict[Candidate, Floats]:
    """Every candidate's difficulty of each row from the other folds."""
    pairs = folds(labels.hard, seed)
    smallest = min(len(train) for train, _ in pairs)
    candidates = [*product([k for k in NEIGHBOURS if k <= smallest], TEMPERATURES)]
    scores = {candidate: np.zeros(len(embeddings)) for candidate in candidates}
    targets = difference(labels)
    for train, test in pairs:
        similarity = embeddings[test] @ embeddings[train].T
        chosen = nearest(similarity, max(k for k, _ in candidates))
        near = np.take_along_axis(similarity, chosen, axis=1)
        for k, temperature in candidates:
            labelled = targets[train][chosen[:, :k]]
            scores[k, temperature][test] = weighted(near[:, :k], labelled, temperature)
    return scores
