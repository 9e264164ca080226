"""A challenger's threshold by a promise, and scores; whom a first version is compared with."""

from pathlib import Path

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import parse
from transformers_hem.arrays import Floats
from transformers_hem.calibration.calibrate import calibrate, write_calibration
from transformers_hem.calibration.config import Calibration, ScoreSpread
from transformers_hem.calibration.curve import routing_curve
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.calibration.sample import Sample
from transformers_hem.calibration.targets import Target
from transformers_hem.labels.labels import Labels
from transformers_hem.lifelong.labelling import fingerprint_of
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.recalibration import plain_sample
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.routers.scoring import open_router

WINDOW = Path("the reserved pairs")  # in errors about them
COIN = "Random"


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


def coin() -> Algorithm:
    """Whom the first version is compared with."""
    kind = ALGORITHMS.load(COIN)
    return kind(parse(COIN, kind, {"seed": "0"}))


def scores_of(router: Scorer, queries: list[str]) -> Floats:
    """[N], infinite where there is no score."""
    scores = router.scores(queries)
    return np.where(np.isnan(scores), np.inf, scores)


def recalibrate(
    directory: str, router: Scorer, reserved: Observations, target: Target, confidence: float
) -> Calibration:
    """Writes the threshold of `router` into its `directory`; it has not learned from the reserved
    rows. Raises NoPromise where they can't support the promise."""
    sample = _sample(router, reserved.subset(plain_sample(reserved)))
    calibration = calibrate(router.router, sample, target, confidence)
    scores = sample.scores
    curve = routing_curve(scores, sample.labels, "calibration", calibration.threshold)
    write_calibration(directory, calibration, ScoreSpread.of(scores[scores <= 1]), None, curve)
    return calibration


def _sample(router: Scorer, pairs: Observations) -> Sample:
    """Raises NoPromise where there are none."""
    if not len(pairs):
        raise NoPromise(
            "of none of the newest rows both sides were seen by whom one trusts, without which "
            "nothing can be promised: turn shadow evaluation on, or give labelled rows by --data"
        )
    # Each pair counts: what is asked often is often in the traffic that the promise is about.
    edge, cloud = pairs.outcomes.T
    sha256 = fingerprint_of(pairs.queries, pairs.outcomes)
    labels = Labels(pairs.queries, edge, cloud, 1.0, sha256)
    rows = [{"query": query} for query in pairs.queries]
    return Sample(WINDOW, rows, scores_of(router, pairs.queries), labels, sha256)
