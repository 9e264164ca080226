"""One round of learning: what came back becomes a challenger, and the challenger is judged.

Each row that judges is new to the champion, and is scored by a challenger that has not learned from
it: what was held out by the challenger itself, the others out of fold, by challengers of the same
kind that learned from four fifths of the rows. To hold all of them out instead would leave either
few rows to judge by or a challenger that knows nothing of the newest traffic.

Nothing here decides what is served: `hem retrain` does, by the verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.parameters import parse
from transformers_hem.arrays import Floats, Indices
from transformers_hem.lifelong.contest import RESAMPLES, SIGNIFICANCE, Judged, Verdict, contest
from transformers_hem.lifelong.labelling import labels_of
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.outcomes import (
    FOLDS,
    among_returned,
    cross_fitted,
    doubly_robust,
    told_by_the_other,
)
from transformers_hem.lifelong.representing import represented
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.lifelong.trust import capped, trusted
from transformers_hem.lifelong.windows import NEWEST, RESERVED, Windows, recency, windows
from transformers_hem.routers.base import Learner, Metrics
from transformers_hem.routers.linear.features import HashedQuery
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.targets import TooLittle
from transformers_hem.routers.training import LEARNERS

LEAST_FEEDBACK: Final = 100  # rows that came back, to learn from
WHOLE: Final = -1  # in place of a fold's number: what learned from all of `train`


@dataclass(frozen=True, slots=True)
class Round:
    """`since`: when what the champion learned from ended, in seconds; `newest`: how many rows judge
    at most; `reserved`: of the pairs among them, for a promise (0 where none is made, or where it
    stands on no pairs); `held`: fingerprints of queries that are held out; `half_life`: seconds
    after which feedback counts half, None: it doesn't age; `significance`: see `contest`."""

    since: float = -np.inf
    newest: int = NEWEST
    reserved: float = RESERVED
    held: frozenset[bytes] = frozenset()
    half_life: float | None = None
    seed: int = 0
    significance: float = SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class Challenge:
    """`challenger`: the new router, and `metrics` its own, of its training; `seen` are the rows
    with the weights that they counted by."""

    challenger: Scorer
    verdict: Verdict
    metrics: Metrics
    seen: Observations
    windows: Windows

    @property
    def reserved(self) -> Observations:
        """Pairs that the challenger never saw."""
        return self.seen.subset(self.windows.reserved)


def prepared(seen: Observations, used: Indices, plan: Round, held: Indices) -> Observations:
    """The rows with the weights that they count by: capped, believed and aged. `used`: the rows
    that came back from use. Whom one believes is learned from, so the `held` rows have no say in
    what others count: pairs and base rows need no trust, and what clients said of a held-out query
    counts as far as all that they said is believed."""
    seen = replace(seen, weights=capped(seen))
    is_held = np.isin(np.arange(len(seen)), held)
    hidden = replace(seen, weights=np.where(is_held & seen.trusted, 0.0, seen.weights))
    weights = trusted(hidden, plan.seed).copy()
    if (said := is_held & ~seen.trusted).any():
        heard = np.flatnonzero(~said)
        weights[heard] = trusted(hidden.subset(heard), plan.seed)
    weights = np.where(is_held & seen.trusted, seen.weights, weights)
    seen = replace(seen, weights=weights)
    if plan.half_life is None or not len(used):
        return seen
    weights = seen.weights.copy()
    weights[used] *= recency(seen.times[used], float(seen.times[used].max()), plan.half_life)
    return replace(seen, weights=weights)


def judge(
    seen: Observations,
    parts: Windows,
    champion: Floats,
    challenger: Floats,
    threshold: float,
    seed: int = 0,
    models: Indices | None = None,
    significance: float = SIGNIFICANCE,
) -> Verdict:
    """`champion` and `challenger` [N] have the scores of the rows that judge; `threshold` is the
    champion's; `models` [N]: which of the challenger's folds scored a row, see `contest.py`. A row
    has as much say here as it has in training, by its weight, and none where its client isn't
    believed at all; times the queries that it stands for, see `representing.py`."""
    rows = parts.judging[seen.weights[parts.judging] > 0]
    judging = seen.subset(rows)
    outcomes = judging.outcomes
    if not judging.paired.all():
        chances = np.column_stack([among_returned(judging), judging.propensities[:, 2]])
        known = replace(judging, propensities=chances)
        outcomes = doubly_robust(known, told_by_the_other(known, _guess(seen, parts)[rows]))
    pairs = int((judging.paired & judging.trusted).sum())
    scores, counted = (champion[rows], challenger[rows]), represented(seen, rows)
    by = None if models is None else models[rows]
    judged = Judged(*scores, threshold, outcomes, pairs, counted, by)
    return contest(judged, seed, RESAMPLES, significance)


def _guess(seen: Observations, parts: Windows) -> Floats:
    """[N, 2]: of the rows that judge, by regressions that saw nothing of their queries."""
    groups = np.full(len(seen), -1)
    places: dict[str, int] = {}
    for row in parts.judging:
        groups[row] = places.setdefault(seen.queries[row], len(places)) % FOLDS
    judged = np.array([query in places for query in seen.queries]) & (groups < 0)
    kept = np.flatnonzero(~judged)
    guess = np.full((len(seen), 2), np.nan)
    guess[kept] = cross_fitted(seen.subset(kept), groups[kept])
    return guess


def challenge(
    seen: Observations,
    used: Indices,
    champion: Scorer,
    threshold: float,
    algorithm: str,
    out: Path,
    plan: Round | None = None,
    parameters: Mapping[str, str] | None = None,
) -> Challenge:
    """Trains a challenger of kind `algorithm` into the router directory `out`, and judges it.
    `parameters` are the learner's own, as strings.

    Raises TooLittle where there is too little to learn from, and ConfigurationError where the kind
    can't judge itself out of fold; nothing is written then.
    """
    plan = plan or Round()
    if len(used) < LEAST_FEEDBACK:
        raise TooLittle(
            f"{len(used)} rows of feedback are too few to learn from; {LEAST_FEEDBACK} are needed"
        )
    _require_texts(seen, algorithm)
    learner = _learner(algorithm, parameters or {})
    parts = windows(seen, used, plan.since, plan.newest, plan.reserved, plan.held)
    if not len(parts.train):
        raise TooLittle("all queries that something came back of are held out for the promise")
    seen = prepared(seen, used, plan, np.setdiff1d(np.arange(len(seen)), parts.train))
    metrics, challenger, models = _trained(learner, seen, parts.train, out, plan.seed)
    router = Scorer(open_router(str(out)))
    unseen = np.setdiff1d(parts.judging, parts.train)
    challenger[unseen] = router.raw([seen.queries[i] for i in unseen])
    champions = np.full(len(seen), np.nan)
    champions[parts.judging] = scored(champion, [seen.queries[i] for i in parts.judging])
    by = (champions, challenger, threshold, plan.seed, models, plan.significance)
    verdict = judge(seen, parts, *by)
    return Challenge(router, verdict, metrics, seen, parts)


def _learner(algorithm: str, parameters: Mapping[str, str]) -> Learner:
    """Raises ConfigurationError."""
    kind = LEARNERS.load(algorithm)
    return kind(parse(f"training {algorithm}", kind, dict(parameters)))


def _trained(
    learner: Learner, seen: Observations, train: Indices, out: Path, seed: int
) -> tuple[Metrics, Floats, Indices]:
    """Metrics; raw scores out of fold [N], NaN of other rows than those to `train` on; and which
    model gave each, WHOLE of other rows: the challenger itself scores them. Raises
    ConfigurationError."""
    labelled = labels_of(seen.subset(train))
    learner.reading = seen.reading
    metrics = learner.train(labelled.labels, out, seed)
    if learner.out_of_fold is None:
        raise ConfigurationError(
            f"{type(learner).__name__} scores no rows out of fold, which a challenger is judged "
            "by; LinearRouter and KernelRouter do"
        )
    found, models = np.full(len(seen), np.nan), np.full(len(seen), WHOLE)
    found[train] = learner.out_of_fold.scores[labelled.rows]
    models[train] = learner.out_of_fold.models[labelled.rows]
    return metrics, found, models


def _require_texts(seen: Observations, algorithm: str) -> None:
    hashed = sum(isinstance(query, HashedQuery) for query in seen.queries)
    if hashed and algorithm != "LinearRouter":
        raise ConfigurationError(
            f"{algorithm} learns from texts, and {hashed} of {len(seen)} queries were kept "
            "without; train a LinearRouter, or let texts be kept"
        )


def scored(router: Scorer, queries: Sequence[str]) -> Floats:
    """[N], 1 where a router of the query stage has no score."""
    scores = router.scores(queries)
    return np.asarray(np.where(np.isnan(scores), 1.0, scores))
