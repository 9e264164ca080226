"""Trains a LinearRouter: the learner on hashed features that cross-validation prefers.

Of ridge on the difference, one logistic regression on *hard*, and one each on what the two models
get right, the last is mostly best on real traffic: many queries are wrong or right for both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from transformers_hem.arrays import Floats
from transformers_hem.evaluation.quality import curve
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.base import Learner
from transformers_hem.routers.fitting import folds, logistic
from transformers_hem.routers.linear.features import (
    Extract,
    FeatureConfig,
    TextFeatures,
    extract,
    fit,
)
from transformers_hem.routers.linear.score import SUMS, LinearConfig, LinearModel, Link, link
from transformers_hem.routers.targets import difference, rightness


@dataclass(frozen=True, slots=True)
class Candidate:
    """`strength` is C for logistic regression, alpha for ridge."""

    link: Link
    strength: float

    def fit(self, rows: csr_matrix, labels: Labels) -> tuple[Floats, Floats]:
        """Coefficients, float [columns, sums], and intercepts, float [sums]."""
        if self.link == "clip":
            ridge = Ridge(alpha=self.strength).fit(rows, difference(labels))
            return ridge.coef_[:, None], np.array([ridge.intercept_])
        if self.link == "logistic":
            parts = [logistic(rows, labels.hard.astype(float), self.strength)]
        else:
            sides = zip(rightness(labels), labels.side_weights, strict=True)
            parts = [logistic(rows, right, self.strength, weights) for right, weights in sides]
        return np.stack([part for part, _ in parts], axis=1), np.array([each for _, each in parts])


CANDIDATES = (
    *(Candidate("difference", c) for c in (0.3, 1.0, 3.0, 10.0)),
    *(Candidate("clip", alpha) for alpha in (3.0, 10.0)),
    *(Candidate("logistic", c) for c in (1.0, 10.0, 100.0)),
)


class LinearLearner(Learner):
    def learn(self, labels: Labels, directory: Path, seed: int) -> LinearConfig:
        model, self.out_of_fold = fit_linear(labels, seed)
        return model.write(directory)


def fit_linear(labels: Labels, seed: int) -> tuple[LinearModel, Floats]:
    """The router, and its candidate's raw difficulty of each row from the other folds."""
    config = FeatureConfig()
    texts = [extract(query, config.buckets) for query in labels.queries]
    scores = _out_of_fold(config, texts, labels, seed)
    paired = labels.paired
    tested = labels.subset(paired)
    areas = {c: curve(s[paired], tested.edge, tested.cloud).mean() for c, s in scores.items()}
    best = max(areas, key=areas.__getitem__)
    features = fit(config, texts)
    rows = matrix(features, texts)
    seen = np.unique(rows.indices)
    coefficients, intercepts = best.fit(rows[:, seen], labels)
    weights = np.zeros((config.width, SUMS[best.link]), dtype=np.float32)
    weights[seen] = coefficients.astype(np.float16)
    idf = features.idf.astype(np.float16).astype(np.float32)
    learned = LinearConfig(
        link=best.link,
        intercepts=tuple(intercepts.tolist()),
        features=config,
        **assess(
            scores[best][paired], labels, seed, f"{best.link} {best.strength:g}", tested=tested
        ),
    )
    return LinearModel(learned, replace(features, idf=idf), weights), scores[best]


def _out_of_fold(
    config: FeatureConfig, texts: Sequence[Extract], labels: Labels, seed: int
) -> dict[Candidate, Floats]:
    """Scores of every candidate on rows that it was not fitted to, features included."""
    scores = {candidate: np.zeros(len(texts)) for candidate in _candidates(labels)}
    for train, test in folds(labels.hard, seed):
        part = labels.subset(train)
        features = fit(config, [texts[i] for i in train])
        rows = matrix(features, [texts[i] for i in train])
        held_out = matrix(features, [texts[i] for i in test])
        seen = np.unique(rows.indices)
        for candidate in scores:
            coefficients, intercepts = candidate.fit(rows[:, seen], part)
            totals = (held_out[:, seen] @ coefficients + intercepts).tolist()
            scores[candidate][test] = [link(candidate.link, sums) for sums in totals]
    return scores


def _candidates(labels: Labels) -> Sequence[Candidate]:
    """Where a side of some rows was not seen: a regression for each side, of the rows that show
    it; the others need both sides of every row."""
    return CANDIDATES if labels.weights is None else [c for c in CANDIDATES if SUMS[c.link] == 2]


def matrix(features: TextFeatures, texts: Sequence[Extract]) -> csr_matrix:
    rows = [features.row(text) for text in texts]
    ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
    columns = np.concatenate([columns for columns, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return csr_matrix((values, columns, ends), shape=(len(rows), features.config.width))
