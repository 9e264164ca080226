"""Queries in order of arrival, routers that learn from what comes back of them, and a bandit.

Which side serves a query is a router's choice. Of a share of the queries somebody says how the
served side did; a share of those is a shadow pair, of which both sides are known.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from transformers_hem.calibration.targets import EdgeRatio
from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.labels.labels import Labels
from transformers_hem.lifelong.challenge import WHOLE, Round, judge, prepared
from transformers_hem.lifelong.drawing import draw, name_of
from transformers_hem.lifelong.labelling import labels_of
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.windows import RESERVED, windows
from transformers_hem.retraining.traffic import LEAST
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.routers.fitting import OutOfFold

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Queries and how both sides did on each: `outcomes` [N, 2] of edge and cloud."""

    queries: list[str]
    outcomes: Floats
    topics: Rows

    def labels(self, rows: Rows, weighted: bool = False) -> Labels:
        """`weighted`: with weights that are all 1, as a retraining has them."""
        edge, cloud = self.outcomes[rows].T
        weights = np.ones((len(rows), 2)) if weighted else None
        return Labels([self.queries[i] for i in rows], edge, cloud, 1.0, "", weights=weights)

    def apgr(self, scores: Floats, rows: Rows) -> float:
        return gap_recovered(scores[rows], *self.outcomes[rows].T)


# Rows, and their labels, to scores of all rows of the table; and of the rows, out of fold.
Learn = Callable[[Rows, Labels], tuple[Floats, OutOfFold]]


@dataclass(frozen=True)
class Order:
    """Rows of a table: what the start router learned from, the stream, and what comes next. The
    topic shifts at `shift` of the stream."""

    base: Rows
    stream: Rows
    upcoming: Rows
    shift: int
    seed: int


@dataclass(frozen=True)
class Use:
    """What comes back: `feedback` of the queries say how a side did, and `shadow` of those are
    pairs; `feedback_cloud` and `shadow_edge` of those that the cloud answered, None: as many.
    `reserved`: of the plain pairs among the newest rows, for a promise; `queries`: an edge share is
    promised, so that queries are drawn for it instead, of all that were served. All clients are
    honest; see lifelong_attacks.py for others."""

    feedback: float = 0.3
    feedback_cloud: float | None = None
    shadow: float = 0.2
    shadow_edge: float | None = None
    at_the_cloud: float = 0.5
    block: int = 1000
    clients: int = 40
    reserved: float = RESERVED
    queries: bool = False

    @property
    def feedbacks(self) -> tuple[float, float]:
        """Of the edge's answers and of the cloud's, as below."""
        cloud = self.feedback_cloud
        return self.feedback, self.feedback if cloud is None else cloud

    @property
    def shadows(self) -> tuple[float, float]:
        """Of the edge's answers and of the cloud's."""
        return self.shadow, self.shadow if self.shadow_edge is None else self.shadow_edge

    @property
    def chances(self) -> tuple[float, float]:
        """Of becoming a pair, of all queries that the edge answered, and that the cloud did."""
        edge, cloud = (a * b for a, b in zip(self.feedbacks, self.shadows, strict=True))
        return edge, cloud


@dataclass
class Played:
    """`apgr` on what comes next, of who serves after each block, and of its challenger;
    `feedbacks` so far; `came_back`: the table's rows of them."""

    start: float
    came_back: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    apgr: list[float] = field(default_factory=list)
    feedbacks: list[int] = field(default_factory=list)
    challengers: list[float] = field(default_factory=list)
    promotions: int = 0


@dataclass
class Stream:
    """The rows that came back so far, with the table's row of each."""

    table: Table
    order: Order
    use: Use
    rng: np.random.Generator
    said: list[Observation] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def serve(self, rows: Rows, cloud: NDArray[np.bool_], first: int) -> None:
        use, rng = self.use, self.rng
        shown = rng.random(len(rows)) < np.where(cloud, *use.feedbacks[::-1])
        shadow = rng.random(len(rows)) < np.where(cloud, *use.shadows[::-1])
        client = rng.integers(use.clients, size=len(rows))
        for i in np.flatnonzero(shown):
            truth = self.table.outcomes[rows[i]]
            edge = float(truth[0]) if shadow[i] or not cloud[i] else None
            cloud_ = float(truth[1]) if shadow[i] or cloud[i] else None
            self.said.append(
                Observation(
                    query=self.table.queries[rows[i]],
                    edge=edge,
                    cloud=cloud_,
                    kind="shadow" if shadow[i] else "explicit",
                    propensity=Propensity(float(not cloud[i]), *use.chances),
                    at=float(first + i),
                    client="" if shadow[i] else f"client-{client[i]}",
                )
            )
            self.rows.append(int(rows[i]))

    def seen(self) -> tuple[Observations, Rows]:
        """Base rows first; and the table's row of each."""
        table, base = self.table, self.order.base
        start = [
            Observation(table.queries[i], *map(float, table.outcomes[i]), "base") for i in base
        ]
        return Observations.of([*start, *self.said]), np.array([*base, *self.rows])


def play(table: Table, order: Order, learn: Learn, use: Use) -> Played:
    """A challenger after each block, which serves from then on if it is promoted. As by `hem
    retrain` the rows that the champion has not learned judge it, and a part of the plain pairs
    among the newest ones is reserved for its promise: it never learns from them. The threshold is
    not theirs: a share of the queries stays at the edge."""
    stream = Stream(table, order, use, np.random.default_rng(order.seed))
    champion, _ = learn(order.base, table.labels(order.base))
    recent, known = order.base, np.zeros(0, np.int64)
    played = Played(table.apgr(champion, order.upcoming))
    for first in range(0, len(order.stream), use.block):
        block = order.stream[first : first + use.block]
        threshold = float(np.quantile(champion[recent], 1 - use.at_the_cloud))
        stream.serve(block, champion[block] > threshold, first)
        recent = block
        seen, rows = stream.seen()
        used = np.arange(len(order.base), len(seen))
        plan = Round(seed=order.seed, reserved=use.reserved)
        if use.queries:
            served = order.stream[: first + len(block)]
            plan = replace(plan, reserved=0.0, held=drawn(table, served))
        used = used[~np.isin(rows[used], known)]
        parts = windows(seen, used, plan.since, plan.newest, plan.reserved, plan.held)
        seen = prepared(seen, used, plan, np.setdiff1d(np.arange(len(seen)), parts.train))
        challenger, scores, models = taught(learn, seen, rows, parts.train)
        by = champion[rows], scores, threshold, order.seed, models
        verdict = judge(seen, parts, *by)
        if verdict.promote:
            champion, known = challenger, rows[parts.train]
            played.promotions += 1
        played.apgr.append(table.apgr(champion, order.upcoming))
        played.challengers.append(table.apgr(challenger, order.upcoming))
        played.feedbacks.append(len(stream.said))
    played.came_back = np.array(stream.rows)
    return played


def drawn(table: Table, served: Rows) -> frozenset[bytes]:
    """Of the newest queries, for a share of 0.6 at the edge."""
    queries = [table.queries[i] for i in served[-LEAST:]]
    names = np.array([name_of(query) for query in queries], dtype=np.uint64)
    found = draw(names, EdgeRatio(0.6).scores_needed(0.9) or 0)
    rows = zip(found.rows, found.often, strict=True)
    return frozenset(fingerprint(queries[row]) for row, often in rows if not often)


def taught(
    learn: Learn, seen: Observations, rows: Rows, train: Rows
) -> tuple[Floats, Floats, Rows]:
    """A challenger's scores of all rows of the table; of the `rows` that were seen, out of fold
    where it learned from them; and whose these are."""
    labelled = labels_of(seen.subset(train))
    first = np.unique(labelled.rows, return_index=True)[1]
    challenger, out_of_fold = learn(rows[train][first], labelled.labels)
    scores, models = challenger[rows], np.full(len(rows), WHOLE)
    scores[train] = out_of_fold.scores[labelled.rows]
    models[train] = out_of_fold.models[labelled.rows]
    return challenger, scores, models


def informed(table: Table, order: Order, learn: Learn, rows: Rows, weighted: bool = False) -> float:
    """Of a router that knows both sides of the base rows and of `rows`."""
    known = np.concatenate([order.base, rows])
    return table.apgr(learn(known, table.labels(known, weighted))[0], order.upcoming)


class ThompsonSampling:
    """Linear Thompson sampling (Agrawal and Goyal 2013, arXiv 1209.3352; Russo et al. 2018, arXiv
    1707.02038): Bayesian linear regression of each side's outcome on features [N, D]; each query
    draws both coefficients, and goes to the cloud where that wins by more than `price`."""

    def __init__(self, width: int, rng: np.random.Generator, noise: float = 0.25) -> None:
        self.precision = np.stack([np.eye(width)] * 2)
        self.moment = np.zeros((2, width))
        self.rng, self.noise = rng, noise

    def tell(self, side: int, features: Floats, outcomes: Floats) -> None:
        self.precision[side] += features.T @ features / self.noise
        self.moment[side] += features.T @ (outcomes - 0.5) / self.noise

    @property
    def means(self) -> Floats:
        return np.stack([np.linalg.solve(self.precision[s], self.moment[s]) for s in range(2)])

    def drawn(self, features: Floats) -> Floats:
        """[n]: the cloud's lead, by fresh coefficients of each query."""
        draws = []
        for side, mean in enumerate(self.means):
            root = np.linalg.inv(np.linalg.cholesky(self.precision[side])).T
            noise = self.rng.standard_normal(features.shape)
            draws.append(features @ mean + np.einsum("nd,nd->n", features @ root, noise))
        return np.asarray(draws[1] - draws[0])


def play_bandit(table: Table, order: Order, features: Floats, use: Use) -> Played:
    """It knows the base rows, and learns from each block's served sides when the block has ended;
    its exploration is its own, and shadow pairs it has none."""
    rng = np.random.default_rng(order.seed)
    bandit = ThompsonSampling(features.shape[1], rng)
    for side in range(2):
        bandit.tell(side, features[order.base], table.outcomes[order.base, side])
    recent = order.base

    def scores() -> Floats:
        return np.asarray(features @ (bandit.means[1] - bandit.means[0]))

    played, count = Played(table.apgr(scores(), order.upcoming)), 0
    for first in range(0, len(order.stream), use.block):
        block = order.stream[first : first + use.block]
        price = float(np.quantile(scores()[recent], 1 - use.at_the_cloud))
        cloud = bandit.drawn(features[block]) > price
        shown = rng.random(len(block)) < np.where(cloud, *use.feedbacks[::-1])
        for side in range(2):
            of = block[shown & (cloud == bool(side))]
            bandit.tell(side, features[of], table.outcomes[of, side])
        recent, count = block, count + int(shown.sum())
        played.apgr.append(table.apgr(scores(), order.upcoming))
        played.feedbacks.append(count)
    return played
