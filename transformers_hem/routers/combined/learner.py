"""Trains a CombinedRouter: logistic regression on a linear router's out-of-fold difficulties and
the edge model's telemetry on its answers."""

from pathlib import Path
from typing import get_args

import numpy as np
from sklearn.linear_model import LogisticRegression

from transformers_hem.labels.labels import Labels
from transformers_hem.routers.base import Learner, Metrics
from transformers_hem.routers.combined.files import (
    QUERY,
    CombinedConfig,
    Floats,
    Signal,
    features,
)
from transformers_hem.routers.directory import new_directory, write_config
from transformers_hem.routers.held_out import folds
from transformers_hem.routers.judgement import judge
from transformers_hem.routers.linear.files import LinearModel
from transformers_hem.routers.linear.learner import learn

REQUIRED: tuple[Signal, ...] = ("mean_logprob", "min_logprob")


class CombinedLearner(Learner):
    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        signals = _signals(labels)
        query, difficulty = learn(labels, seed)
        columns = features(difficulty, signals)
        centre, spread = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        rows = (columns - centre) / scale
        judgement = judge(_out_of_fold(rows, labels, seed), labels, seed)
        model = _logistic(rows, labels)
        config = CombinedConfig(
            threshold=judgement.threshold,
            data_sha256=labels.sha256,
            probability=judgement.probability,
            scores=judgement.scores,
            signals=tuple(signals),
            centre=tuple(centre.tolist()),
            scale=tuple(scale.tolist()),
            weights=tuple(model.coef_[0].tolist()),
            intercept=float(model.intercept_[0]),
            seed=seed,
            rows=len(labels.queries),
            epsilon=labels.epsilon,
            metrics={"learner": f"{', '.join(signals)} and query", **judgement.metrics},
            query_sha256="",
        )
        _save(config, query, out)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}


def _signals(labels: Labels) -> dict[Signal, Floats]:
    """The margin counts where every row has one. Raises ConfigurationError naming the line of a
    row that lacks a log-probability."""
    assert labels.telemetry is not None
    telemetry = labels.telemetry
    for name in REQUIRED:
        telemetry.require(name)
    found: dict[Signal, Floats] = {name: telemetry.values[name] for name in get_args(Signal)}
    return {name: values for name, values in found.items() if not np.isnan(values).any()}


def _logistic(rows: Floats, labels: Labels) -> LogisticRegression:
    return LogisticRegression(C=1.0, max_iter=5000).fit(rows, labels.hard)


def _out_of_fold(rows: Floats, labels: Labels, seed: int) -> Floats:
    scores = np.zeros(len(rows))
    for train, test in folds(labels.hard, seed):
        model = _logistic(rows[train], labels.subset(train))
        scores[test] = model.predict_proba(rows[test])[:, 1]
    return scores


def _save(config: CombinedConfig, query: LinearModel, out: Path) -> None:
    with new_directory(out) as aside:
        query.save(aside / QUERY)
        saved = LinearModel.load(aside / QUERY).config.weights_sha256
        write_config(aside, config.model_copy(update={"query_sha256": saved}))
