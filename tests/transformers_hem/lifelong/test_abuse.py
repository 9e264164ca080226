"""What malicious clients cost, on what the embedded pair made of its questions: a new topic comes,
and what is learned there decides.

A challenger is what `LinearRouter` learns at its heart, one regression for each side; whether it is
promoted is not asked, so nothing hides what lies do to it. docs/lifelong.md has whole rounds.
"""

from collections.abc import Callable

import numpy as np
import pytest

from tests.benchmarks.lifelong_attacks import AttackedStream, Threat, threats
from tests.benchmarks.lifelong_stream import Order, Table, Use
from tests.benchmarks.lifelong_tables import embedded
from transformers_hem.lifelong.challenge import Round, prepared
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.outcomes import expected

BASE, STREAM, UPCOMING = 250, 1600, 1500
ORDERS = (200, 201, 202)
Cost = Callable[[str, bool], float]


@pytest.fixture(scope="module")
def table() -> Table:
    return embedded()


def order_of(table: Table, seed: int) -> Order:
    """All of a stream and of what comes next are of three topics, the base rows of two."""
    rng = np.random.default_rng(seed)
    old = rng.permutation(np.flatnonzero(table.topics != table.topics.max()))
    base, rest = old[:BASE], np.setdiff1d(np.arange(len(table.queries)), old[:BASE])
    rest = rng.permutation(rest)
    return Order(base, rest[:STREAM], rest[STREAM : STREAM + UPCOMING], 0, seed)


def learned(table: Table, order: Order, threat: Threat | None, *, defended: bool) -> float:
    """APGR on what comes next."""
    stream = AttackedStream(table, order, Use(), np.random.default_rng(order.seed), threat=threat)
    start, _ = stream.seen()
    lead = leads(table, start, order.stream)
    stream.serve(order.stream, lead > np.median(lead), 0)
    seen, _ = stream.seen()
    if defended:
        seen = prepared(seen, np.arange(BASE, len(seen)), Round(), np.array([], dtype=np.int64))
    scores = np.zeros(len(table.queries))
    scores[order.upcoming] = leads(table, seen, order.upcoming)
    return table.apgr(scores, order.upcoming)


def leads(table: Table, seen: Observations, rows: np.ndarray) -> np.ndarray:
    """By how much the cloud is expected to be better."""
    found = expected(seen, [table.queries[i] for i in rows])
    return found[:, 1] - found[:, 0]


@pytest.fixture(scope="module")
def cost(table: Table) -> Cost:
    """The mean over orders of what a threat costs, against honest clients who are all believed."""
    orders = [order_of(table, seed) for seed in ORDERS]
    honest = [learned(table, order, None, defended=False) for order in orders]
    known = threats(table, int(table.topics.max()), 0)

    def cost(name: str, defended: bool) -> float:
        threat = known.get(name)
        now = [learned(table, order, threat, defended=defended) for order in orders]
        return float(np.mean(honest) - np.mean(now))

    return cost


@pytest.mark.parametrize(
    "name",
    [
        "nobody lies",
        "lots are drawn",
        "the opposite",
        "the edge is good at the new topic, else the truth",
    ],
)
def test_a_fifth_of_malicious_clients_costs_next_to_nothing(cost: Cost, name: str) -> None:
    assert cost(name, True) <= 0.02


@pytest.mark.parametrize(
    "name",
    [
        "turned around, 6 times as often",
        "as comparisons of both sides, 3 times as often",
        "each by a client of its own, 6 times as often",
    ],
)
def test_without_a_defence_who_says_more_costs_more(cost: Cost, name: str) -> None:
    believed, defended = cost(name, False), cost(name, True)
    assert defended <= 0.02
    assert believed > defended + 0.05
