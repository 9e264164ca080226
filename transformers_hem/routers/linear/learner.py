"""Trains a LinearRouter: the learner on hashed features that cross-validation prefers.

Of ridge on the difference, one logistic regression on *hard*, and one each on what the two models
get right, the last is mostly best on real traffic: many queries are wrong or right for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from transformers_hem.arrays import Floats, Indices
from transformers_hem.evaluation.quality import curve
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.base import Learner
from transformers_hem.routers.fitting import (
    Linear,
    OutOfFold,
    both_logistic,
    folds,
    logistic,
    one_blas_thread,
)
from transformers_hem.routers.linear.features import FeatureConfig
from transformers_hem.routers.linear.score import SUMS, LinearConfig, LinearModel, Link, link
from transformers_hem.routers.linear.texts import Reading, Texts, columns_of, fit, matrix
from transformers_hem.routers.targets import difference, rightness

CONFIG: Final = FeatureConfig()


@dataclass(frozen=True, slots=True)
class Candidate:
    """`strength` is C for logistic regression, alpha for ridge."""

    link: Link
    strength: float

    def fit(
        self, rows: csr_matrix, labels: Labels, near: Sequence[Linear] | None = None
    ) -> list[Linear]:
        """One for each sum. `near`: of a candidate with the same link, to begin at."""
        starts: Sequence[Linear | None] = near or [None] * SUMS[self.link]
        if self.link == "clip":
            ridge = Ridge(alpha=self.strength).fit(rows, difference(labels))
            return [(ridge.coef_, float(ridge.intercept_))]
        if self.link == "logistic":
            with one_blas_thread():
                return [logistic(rows, labels.hard.astype(float), self.strength, start=starts[0])]
        return both_logistic(rows, rightness(labels), self.strength, labels.side_weights, starts)


CANDIDATES = (
    *(Candidate("difference", c) for c in (0.3, 1.0, 3.0, 10.0)),
    *(Candidate("clip", alpha) for alpha in (3.0, 10.0)),
    *(Candidate("logistic", c) for c in (1.0, 10.0, 100.0)),
)


class LinearLearner(Learner):
    def learn(self, labels: Labels, directory: Path, seed: int) -> LinearConfig:
        texts = (self.reading or Reading()).of(labels.queries)
        model, self.out_of_fold = fit_linear(labels, seed, texts)
        return model.write(directory)


def fit_linear(
    labels: Labels, seed: int, texts: Texts | None = None
) -> tuple[LinearModel, OutOfFold]:
    """The router, and its candidate's raw difficulty of each row from the other folds. `texts`: of
    the labels' queries, where they were read already."""
    texts = texts or Reading().of(labels.queries)
    parted = folds(labels.hard, seed)
    scores = _out_of_fold(texts, labels, parted)
    paired = labels.paired
    tested = labels.subset(paired)
    areas = {c: curve(s[paired], tested.edge, tested.cloud).mean() for c, s in scores.items()}
    best = max(areas, key=areas.__getitem__)
    features = fit(CONFIG, texts)
    parts = best.fit(matrix(features, texts), labels)
    weights = np.zeros((CONFIG.width, SUMS[best.link]), dtype=np.float32)
    weights[columns_of(features)] = _stacked(parts).astype(np.float16)
    idf = features.idf.astype(np.float16).astype(np.float32)
    learned = LinearConfig(
        link=best.link,
        intercepts=tuple(intercept for _, intercept in parts),
        features=CONFIG,
        **assess(
            scores[best][paired], labels, seed, f"{best.link} {best.strength:g}", tested=tested
        ),
    )
    model = LinearModel(learned, replace(features, idf=idf), weights)
    return model, OutOfFold.of(scores[best], parted)


def _out_of_fold(
    texts: Texts, labels: Labels, parted: Sequence[tuple[Indices, Indices]]
) -> dict[Candidate, Floats]:
    """Scores of every candidate on rows that it was not fitted to, features included."""
    scores = {candidate: np.zeros(len(labels.queries)) for candidate in _candidates(labels)}
    for train, test in parted:
        part, known = labels.subset(train), texts.subset(train)
        features = fit(CONFIG, known)
        rows, held_out = matrix(features, known), matrix(features, texts.subset(test))
        near: dict[Link, list[Linear]] = {}  # where the one before, of less strength, has ended
        for candidate in scores:
            parts = near[candidate.link] = candidate.fit(rows, part, near.get(candidate.link))
            totals = held_out @ _stacked(parts) + np.array([each for _, each in parts])
            scores[candidate][test] = [link(candidate.link, sums) for sums in totals.tolist()]
    return scores


def _stacked(parts: Sequence[Linear]) -> Floats:
    """Coefficients, float [columns, sums]."""
    return np.stack([coefficients for coefficients, _ in parts], axis=1)


def _candidates(labels: Labels) -> Sequence[Candidate]:
    """Where a side of some rows was not seen: a regression for each side, of the rows that show
    it; the others need both sides of every row."""
    return CANDIDATES if labels.weights is None else [c for c in CANDIDATES if SUMS[c.link] == 2]
