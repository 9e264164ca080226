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
from transformers_hem.retraining.traffic import Traffic
from transformers_hem.routers.scoring import open_router

# In errors about them.
PAIRS, QUERIES = Path("the reserved pairs"), Path("the queries that were drawn")
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
    directory: str,
    router: Scorer,
    sample: Sample,
    measured: Sample | None,
    target: Target,
    confidence: float,
) -> Calibration:
    """Writes the threshold of `router` into its `directory`; it has not learned from the sample.
    Other thresholds are told by what is `measured`, with their quality; None: by the sample. Raises
    NoPromise where the sample can't support the promise."""
    calibration = calibrate(router.router, sample, target, confidence)
    shown = measured or sample
    curve = routing_curve(shown.scores, shown.labels, "calibration", calibration.threshold)
    spread = ScoreSpread.of(sample.scores[sample.scores <= 1])
    write_calibration(directory, calibration, spread, None, curve)
    return calibration


def of_pairs(router: Scorer, reserved: Observations) -> Sample:
    """Of those that are a plain sample. Raises NoPromise where there are none."""
    pairs = reserved.subset(plain_sample(reserved))
    if not len(pairs):
        raise NoPromise(
            "of none of the newest rows both sides were seen by whom one trusts, without which "
            "nothing can be promised: turn shadow evaluation on, or give labelled rows by --data"
        )
    # Each pair counts: what is asked often is often in the traffic that the promise is about.
    edge, cloud = pairs.outcomes.T
    sha256 = fingerprint_of(pairs.queries, pairs.outcomes)
    labels = Labels(pairs.queries, edge, cloud, 1.0, sha256)
    return _sample(PAIRS, router, pairs.queries, labels, sha256)


def of_queries(router: Scorer, drawn: Traffic) -> Sample:
    """Raises NoPromise where there are none."""
    queries = drawn.queries
    if not queries:
        raise NoPromise("the version in force has learned from all queries that were drawn")
    sha256 = fingerprint_of(queries, np.empty((len(queries), 0)))
    return _sample(QUERIES, router, queries, None, sha256, drawn.effective)


def _sample(
    name: Path,
    router: Scorer,
    queries: list[str],
    labels: Labels | None,
    sha256: str,
    effective: float | None = None,
) -> Sample:
    rows = [{"query": query} for query in queries]
    return Sample(name, rows, scores_of(router, queries), labels, sha256, effective)
