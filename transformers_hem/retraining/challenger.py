"""Trains a challenger, scores queries by it, and chooses its threshold by a promise."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import parse
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.arrays import Floats
from transformers_hem.calibration.calibrate import calibrate, write_calibration
from transformers_hem.calibration.config import Calibration, ScoreSpread
from transformers_hem.calibration.curve import routing_curve
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import Target
from transformers_hem.lifelong.labelling import fingerprint, labels_of
from transformers_hem.lifelong.observations import Observations
from transformers_hem.retraining.windows import Divided
from transformers_hem.routers.base import Metrics
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import LEARNERS

WINDOW = Path("the newest rows")  # in errors about them


def train(
    learned: Observations, algorithm: str, parameters: Mapping[str, str], out: Path, seed: int
) -> Metrics:
    """Writes the router directory `out`. Raises ConfigurationError."""
    kind = LEARNERS.load(algorithm)
    learner = kind(parse(f"training {algorithm}", kind, dict(parameters)))
    return learner.train(labels_of(learned), out, seed)


def open_for_queries(router: str) -> Algorithm:
    """Raises ConfigurationError for one that mines answers: feedback has none of their signals."""
    algorithm = open_router(router)
    if algorithm.stage != "query":
        raise ConfigurationError(
            f"{router} is a {type(algorithm).__name__}, which mines the {algorithm.stage}; "
            "feedback says nothing of an answer's signals, so only routers that mine queries are "
            "retrained"
        )
    return algorithm


def scores_of(algorithm: Algorithm, queries: list[str]) -> Floats:
    """[N], infinite where there is no score."""
    scores = score_rows(algorithm, [{"query": query} for query in queries])
    return np.where(np.isnan(scores), np.inf, scores)


def recalibrate(router: str, rows: Divided, target: Target, confidence: float) -> Calibration:
    """Writes the threshold into `router`, which learned nothing of the held-out rows. Raises
    ConfigurationError where they can't support the promise."""
    algorithm = open_router(router)
    sample = _sample(algorithm, rows.held_out if target.name == "edge_ratio" else rows.pairs)
    calibration = calibrate(algorithm, sample, target, confidence)
    scores = sample.scores
    curve = routing_curve(scores, sample.labels, "calibration", calibration.threshold)
    write_calibration(router, calibration, ScoreSpread.of(scores[scores <= 1]), None, curve)
    return calibration


def _sample(algorithm: Algorithm, rows: Observations) -> Sample:
    """Raises ConfigurationError where there are none."""
    if not len(rows):
        raise ConfigurationError(
            "none of the newest rows has both sides seen, without which no quality can be "
            "promised: turn shadow evaluation on, or promise an --edge-ratio"
        )
    found = [{"query": query} for query in rows.queries]
    labels = labels_of(rows) if rows.paired.all() else None
    scores = scores_of(algorithm, rows.queries)
    return Sample(WINDOW, found, scores, labels, fingerprint(rows))
