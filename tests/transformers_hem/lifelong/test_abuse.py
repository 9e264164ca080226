"""What malicious clients cost, on what the embedded pair made of its questions: a new topic comes,
and what is learned there decides.

Whether a challenger is promoted is not asked, so no contest hides what lies do to it.
docs/lifelong.md has whole rounds.
"""

from collections.abc import Callable

import numpy as np
import pytest

from tests.benchmarks.lifelong_abuse import NOBODY, Challengers, Defence
from tests.benchmarks.lifelong_attacks import A_FIFTH, FLOOD, threats
from tests.benchmarks.lifelong_stream import Order, Table, Use
from tests.benchmarks.lifelong_tables import embedded

BASE, STREAM, UPCOMING = 250, 2400, 1000
ORDERS = (200, 201)
MOST = 0.02  # APGR that a fifth of malicious feedback may cost
Cost = Callable[[str, Defence], float]


def order_of(table: Table, seed: int) -> Order:
    """The stream and what comes next are of three topics, the base rows of two."""
    rng = np.random.default_rng(seed)
    old = rng.permutation(np.flatnonzero(table.topics != table.topics.max()))
    rest = rng.permutation(np.setdiff1d(np.arange(len(table.queries)), old[:BASE]))
    return Order(old[:BASE], rest[:STREAM], rest[STREAM : STREAM + UPCOMING], 0, seed)


@pytest.fixture(scope="module")
def cost() -> Cost:
    """The mean over orders of what a threat costs, against honest clients who are all believed."""
    table = embedded()
    orders = [order_of(table, seed) for seed in ORDERS]
    play = Challengers(table, Use()).play
    honest = [play(order, NOBODY, "believed").challenger for order in orders]
    known = {"nobody lies": NOBODY, **threats(table, int(table.topics.max()), 0)}

    def cost(name: str, defence: Defence) -> float:
        now = [play(order, known[name], defence).challenger for order in orders]
        return float(np.mean(honest) - np.mean(now))

    return cost


@pytest.mark.parametrize("name", ["nobody lies", *A_FIFTH])
def test_a_fifth_of_malicious_feedback_costs_next_to_nothing(cost: Cost, name: str) -> None:
    assert cost(name, "defended") <= MOST


@pytest.mark.parametrize(
    "name",
    [
        FLOOD,
        "as comparisons of both sides, 3 times as often",
        "each by a client of its own, 6 times as often",
    ],
)
def test_who_says_most_costs_much_without_the_defence(cost: Cost, name: str) -> None:
    believed, defended = cost(name, "believed"), cost(name, "defended")
    assert defended <= MOST
    assert believed > defended + 0.1
