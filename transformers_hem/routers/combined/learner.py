"""Trains a CombinedRouter: logistic regression on a linear router's out-of-fold difficulties and
the edge model's telemetry on its answers, or on their first tokens."""

from pathlib import Path
from typing import get_args

import numpy as np
from scipy.special import expit

from transformers_hem.arrays import Floats
from transformers_hem.labels.labels import Labels
from transformers_hem.labels.prefixes import of_the_first
from transformers_hem.routers.assessment import assess
from transformers_hem.routers.base import Learner
from transformers_hem.routers.combined.score import QUERY, CombinedConfig, Telemetry, features
from transformers_hem.routers.directory import write_config
from transformers_hem.routers.fitting import folds, logistic
from transformers_hem.routers.linear.learner import fit_linear

REQUIRED: tuple[Telemetry, ...] = ("mean_logprob", "min_logprob")
STRENGTH = 1.0  # the inverse of the regularisation's, of columns that were made alike in spread


class CombinedLearner(Learner):
    def learn(self, labels: Labels, directory: Path, seed: int) -> CombinedConfig:
        signals = _signals(labels)
        of = of_the_first(labels.prefix_tokens)
        query, by_query = fit_linear(labels, seed)
        columns = features(by_query.scores, signals)
        centre, spread = columns.mean(axis=0), columns.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        rows = (columns - centre) / scale
        hard, out_of_fold = labels.hard.astype(float), np.zeros(len(rows))
        for train, test in folds(labels.hard, seed):
            part, offset = logistic(rows[train], hard[train], STRENGTH)
            out_of_fold[test] = expit(rows[test] @ part + offset)
        weights, intercept = logistic(rows, hard, STRENGTH)
        (directory / QUERY).mkdir()
        asked = query.write(directory / QUERY)
        write_config(directory / QUERY, asked)
        return CombinedConfig(
            signals=tuple(signals),
            centre=tuple(centre.tolist()),
            scale=tuple(scale.tolist()),
            weights=tuple(weights.tolist()),
            intercept=intercept,
            query_sha256=asked.weights_sha256,
            **assess(out_of_fold, labels, seed, f"{', '.join(signals)}{of} and query"),
        )


def _signals(labels: Labels) -> dict[Telemetry, Floats]:
    """The margin counts where every row has one. Raises ConfigurationError naming the line of a
    row that lacks a log-probability."""
    assert labels.telemetry is not None
    for name in REQUIRED:
        labels.telemetry.require(name)
    values = {name: labels.telemetry.values[name] for name in get_args(Telemetry)}
    return {name: column for name, column in values.items() if not np.isnan(column).any()}
