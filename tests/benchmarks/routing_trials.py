"""Routers tested on rows that they were not trained on, beside a reference on the same rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold

from transformers_hem.algorithms.base import Batch
from transformers_hem.evaluation.metrics import ScoredRows, apgr
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.linear.learner import LinearLearner
from transformers_hem.routers.scoring import open_router

FOLDS = 5
RESAMPLES = 400

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Metric = Callable[[ScoredRows], float]
Split = tuple[Rows, Rows]


@dataclass(frozen=True)
class Trial:
    """One split: the rows tested on, and each router's scores of them."""

    rows: Rows
    scores: dict[str, Floats]


def scored(scores: Floats, labels: Labels, rows: Rows) -> ScoredRows:
    edge, cloud = labels.edge[rows], labels.cloud[rows]
    return ScoredRows(scores, 0.5, edge, cloud, cloud > edge)


def reference(labels: Labels, train: Rows, test: Rows) -> Floats:
    """R: TF-IDF of word 1-2-grams into ridge (alpha 3) on cloud minus edge, as scikit-learn's
    defaults have it."""
    vectors = TfidfVectorizer(ngram_range=(1, 2))
    rows = vectors.fit_transform([labels.queries[i] for i in train])
    ridge = Ridge(alpha=3).fit(rows, labels.cloud[train] - labels.edge[train])
    found: Floats = ridge.predict(vectors.transform([labels.queries[i] for i in test]))
    return found


def linear(labels: Labels, train: Rows, test: Rows, aside: Path) -> Floats:
    """LinearRouter as `hem train` makes it and HEM serves it."""
    LinearLearner(LinearLearner.Parameters()).train(labels.subset(train), aside, seed=0)
    texts = tuple(labels.queries[i] for i in test)
    return open_router(str(aside)).score(Batch(len(texts), texts=texts))


def joined(first: Labels, second: Labels) -> Labels:
    return replace(
        first,
        queries=[*first.queries, *second.queries],
        edge=np.concatenate([first.edge, second.edge]),
        cloud=np.concatenate([first.cloud, second.cloud]),
        telemetry=None,
    )


def folds(labels: Labels, seed: int) -> Iterator[Split]:
    split = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    yield from split.split(labels.queries, labels.hard)


def draw(labels: Labels, count: int, seed: int) -> Split:
    """`count` rows to train on, all others to test on."""
    order = np.random.default_rng(seed).permutation(len(labels.queries))
    return order[:count], order[count:]


def mean(trials: Sequence[Trial], name: str, labels: Labels, metric: Metric = apgr) -> float:
    return float(np.mean([metric(scored(t.scores[name], labels, t.rows)) for t in trials]))


def interval(
    trials: Sequence[Trial], ours: str, theirs: str, labels: Labels
) -> tuple[float, float, float]:
    """Mean difference in APGR over the trials, and its 95% interval from a bootstrap of the rows.

    A resample takes a row as often in every trial, so that trials which share rows don't count
    as independent. What another draw of training rows would change is the spread, printed beside.
    """
    rng = np.random.default_rng(0)
    total = len(labels.queries)
    found = []
    for _ in range(RESAMPLES):
        counts = np.bincount(rng.integers(total, size=total), minlength=total)
        found.append(np.mean([_difference(t, ours, theirs, labels, counts) for t in trials]))
    whole = np.mean([_difference(t, ours, theirs, labels, np.ones(total, int)) for t in trials])
    return float(whole), *map(float, np.quantile(found, [0.025, 0.975]))


def _difference(trial: Trial, ours: str, theirs: str, labels: Labels, counts: Rows) -> float:
    chosen = np.repeat(np.arange(len(trial.rows)), counts[trial.rows])
    rows = trial.rows[chosen]
    values = [apgr(scored(trial.scores[name][chosen], labels, rows)) for name in (ours, theirs)]
    return values[0] - values[1]
