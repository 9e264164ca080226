"""What lifelong learning recovers after a shift of topic, and what malicious clients cost.

    pytest tests/benchmarks/bench_lifelong.py -m benchmark -s    (an hour)

With -k "shared_tables or embedded or picture" the simulations alone. Each order is printed when it
was played: one of the public tables takes about a minute of one core.

With LIFELONG_PLOT=docs/images/lifelong.png it draws the picture of docs/lifelong.md too.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.lifelong_abuse import NOBODY, Challengers, Rounds, reported
from tests.benchmarks.lifelong_attacks import A_FIFTH, FLOOD, threats
from tests.benchmarks.lifelong_plot import draw, interval, recovered
from tests.benchmarks.lifelong_stream import (
    Floats,
    Learn,
    Order,
    Table,
    Use,
    informed,
    play,
    play_bandit,
)
from tests.benchmarks.lifelong_tables import (
    embedded,
    embedded_order,
    encoder_features,
    first_public_order,
    kernel,
    layers,
    linear,
    public,
    public_order,
    word_features,
)

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3 * 3600)]

ORDERS = range(10)
PLOT = "LIFELONG_PLOT"
EMBEDDED_USE, ATTACKED_USE = Use(block=334), Use(block=1334)
# A day has 1,000 queries, and ends with a retraining. Of the edge's answers a tenth become pairs,
# of the cloud's three in ten: those cost no call of the cloud.
DAILY = Use(block=1000, shadow=1 / 3, shadow_edge=1.0)
# Where nothing is promised: challengers learn from all that came back.
NO_PROMISE = Use(block=1000, shadow=1 / 3, shadow_edge=1.0, reserved=0.0)
# Where an edge share is promised: queries are drawn for it, whatever is said of them.
EDGE_SHARE = Use(block=1000, shadow=1 / 3, shadow_edge=1.0, queries=True)
# With one share for both: as many calls of the cloud.
ONE_SHARE = Use(block=1000, shadow=1 / 3)
# Users speak of either side, of the cloud's answers half as often; pairs are as by DAILY.
UNEVEN = Use(block=1000, feedback=0.3, feedback_cloud=0.4, shadow=1 / 3, shadow_edge=0.75)
# As it was simulated first: one retraining on either side of the shift, 6% of pairs.
SELDOM = Use(block=3000)
PLAYED: dict[str, list[dict[str, Any]]] = {}
DRAWN = ("embedded pair, LinearRouter", "MMLU and GSM8K, KernelRouter")


def simulated(
    name: str, table: Table, orders: list[Order], learn: Learn, use: Use,
    of: Callable[[Order], Floats],
) -> tuple[float, float, float]:  # fmt: skip
    """The share of the gap that the serving router recovered at the end of the stream; `of`: the
    bandit's features."""
    rows = PLAYED.setdefault(name, [])
    for order in orders:
        rows.append({"benchmark": "lifelong", "table": name})
        rows[-1] |= in_order(table, order, learn, use, of(order))
        print(f"\n{json.dumps(rows[-1])}", flush=True)
    return told(name, rows)


def in_order(
    table: Table, order: Order, learn: Learn, use: Use, features: Floats
) -> dict[str, Any]:
    """`pairs`: who knows both sides of all that came back; `start_scaled`: a start router that
    learned as challengers do, whose sides are scaled (an informed one like that would take three
    quarters of the time of all challengers); `features` are the bandit's."""
    nothing = np.zeros(0, np.int64)
    played, bandit = play(table, order, learn, use), play_bandit(table, order, features, use)
    return {
        "seed": order.seed,
        "rows": [len(order.base), len(order.stream), len(order.upcoming)],
        "shift": float(np.mean(use.feedbacks)) * order.shift,
        "start": played.start,
        "start_scaled": informed(table, order, learn, nothing, weighted=True),
        "serving": played.apgr,
        "challengers": played.challengers,
        "feedbacks": played.feedbacks,
        "promotions": played.promotions,
        "pairs": [informed(table, order, learn, played.came_back)],
        "informed": informed(table, order, learn, order.stream),
        "bandit_start": bandit.start,
        "bandit": bandit.apgr,
    }


def told(name: str, rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Prints means over orders; what the serving router recovered."""
    start, best = (np.array([row[key] for row in rows]) for key in ("start", "informed"))
    found = {}
    for kind in ("serving", "challengers", "pairs", "bandit"):
        end = np.array([row[kind][-1] for row in rows])
        share, low, high = found[kind] = recovered(start, end, best)
        of_apgr = interval(end)
        print(
            f"{name}, {kind}: APGR {end.mean():.3f} [{of_apgr[0]:.3f}, {of_apgr[1]:.3f}] "
            f"from {start.mean():.3f}, informed {best.mean():.3f}: "
            f"{share:.0%} [{low:.0%}, {high:.0%}] recovered"
        )
    scaled = np.array([row["start_scaled"] for row in rows])
    serving = np.array([row["serving"][-1] for row in rows])
    share, low, high = recovered(scaled, serving, best)
    print(
        f"{name}: a start router that learned as challengers do has {scaled.mean():.3f}; of its "
        f"gap to the informed one, whose sides aren't scaled, {share:.0%} [{low:.0%}, {high:.0%}] "
        f"recovered; promotions {[row['promotions'] for row in rows]}"
    )
    return found["serving"]


@pytest.fixture(scope="module")
def tables(shared: Path) -> tuple[Table, Floats]:
    table = public(shared)
    return table, layers(table)


def on_shared_tables(
    name: str, tables: tuple[Table, Floats], order: Callable[[Table, int], Order], use: Use
) -> float:
    table, features = tables
    share, _, _ = simulated(
        name, table, [order(table, seed) for seed in ORDERS], kernel(features), use,
        lambda order: encoder_features(features, order.base),
    )  # fmt: skip
    return share


def test_shared_tables(tables: tuple[Table, Floats]) -> None:
    share = on_shared_tables(DRAWN[1], tables, public_order, DAILY)
    assert share > 0
    if share < 0.7:
        pytest.xfail(f"{share:.0%} recovered: the aim of 70% may be missed, see docs/lifelong.md")


def test_shared_tables_where_nothing_is_promised(tables: tuple[Table, Floats]) -> None:
    assert on_shared_tables("nothing reserved", tables, public_order, NO_PROMISE) > 0


def test_shared_tables_where_an_edge_share_is_promised(tables: tuple[Table, Floats]) -> None:
    assert on_shared_tables("an edge share", tables, public_order, EDGE_SHARE) > 0


def test_shared_tables_with_one_share_of_pairs(tables: tuple[Table, Floats]) -> None:
    assert on_shared_tables("one share of pairs", tables, public_order, ONE_SHARE) > 0


def test_shared_tables_where_users_say_more_of_one_side(tables: tuple[Table, Floats]) -> None:
    assert on_shared_tables("users of both sides", tables, public_order, UNEVEN) > 0


def test_shared_tables_as_they_were_simulated_first(tables: tuple[Table, Floats]) -> None:
    assert on_shared_tables("the first simulation", tables, first_public_order, SELDOM) > 0


def test_embedded_generator() -> None:
    table = embedded()
    features = word_features(table)
    orders = [embedded_order(table, seed) for seed in ORDERS]
    share, _, _ = simulated(
        DRAWN[0], table, orders, linear(table), EMBEDDED_USE,
        lambda order: features,
    )  # fmt: skip
    assert share >= 0.8


def test_embedded_generator_where_an_edge_share_is_promised() -> None:
    table = embedded()
    features, use = word_features(table), replace(EMBEDDED_USE, queries=True)
    orders = [embedded_order(table, seed) for seed in ORDERS]
    assert simulated("edge share", table, orders, linear(table), use, lambda order: features)[0] > 0


def test_malicious_feedback_and_what_is_learned() -> None:
    """What it costs the challenger, promoted or not, under attacks of all kinds."""
    table = embedded()
    orders = [embedded_order(table, seed) for seed in ORDERS]
    known = {"nobody lies": NOBODY, **threats(table, int(table.topics.max()), orders[0].shift)}
    found = reported(Challengers(table, Use()).play, orders, known)
    for name in known:
        assert mean(found[f"{name}, defended"], "challenger") <= 0.02, name
    assert mean(found[f"{FLOOD}, believed"], "challenger") > 0.1


def test_malicious_feedback_and_who_serves() -> None:
    """What a fifth of it costs the router that serves after two rounds, and a flood."""
    table = embedded()
    orders = [embedded_order(table, seed) for seed in ORDERS]
    every = threats(table, int(table.topics.max()), orders[0].shift)
    known = {"nobody lies": NOBODY} | {name: every[name] for name in (*A_FIFTH, FLOOD)}
    found = reported(Rounds(table, linear(table), ATTACKED_USE).play, orders, known)
    for name in known:
        assert mean(found[f"{name}, defended"], "serving") <= 0.02, name


def mean(rows: list[dict[str, Any]], kind: str) -> float:
    return float(np.mean([row[kind] for row in rows]))


def test_the_picture() -> None:
    """Of what the tests above have played."""
    if PLOT not in os.environ or not PLAYED.keys() >= {*DRAWN}:
        pytest.skip(f"{PLOT} names no file, or the simulations were not played")
    draw({name: PLAYED[name] for name in DRAWN}, Path(os.environ[PLOT]))
