"""Whether the pairs of a store are a plain sample of the traffic, as a promise needs them.

Whichever side answered, the share of pairs is the same. It isn't where a server that asked the
cloud alone has kept them, or where one side could not be asked as often as it was drawn: the edge
was busy, a budget was used up. Then queries of one kind are missing among the pairs, and what is
found of the others would be promised for all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.stats import binomtest

from predictors.contract import CLOUD, EDGE
from transformers_hem.algorithms.base import Route
from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.lifelong.observations import Observations
from transformers_hem.retraining.gathering import open_store

if TYPE_CHECKING:
    from sqlalchemy import Connection

ERROR: Final = 0.01  # of refusing pairs that are a plain sample
_SIDES: Final[tuple[Route, ...]] = (EDGE, CLOUD)
# By the side that answered: what has the share of its answers.
_SHARES: Final = {
    EDGE: "HEM_FEEDBACK_SHADOW",
    CLOUD: "HEM_FEEDBACK_SHADOW_EDGE (where it is not set, HEM_FEEDBACK_SHADOW)",
}


@dataclass(frozen=True, slots=True)
class Side:
    """Of the queries that a router sent to this side, and that it answered: how many there were in
    a time, how many of them could be drawn, and since when; how many were to be compared by their
    shares, and how many were."""

    answered: int = 0
    drawable: int = 0
    since: float = np.inf
    expected: float = 0.0
    compared: int = 0


def sampled(store: str, pairs: Observations) -> Observations:
    """Those of which both sides could be drawn. Raises NoPromise where they are no plain sample of
    the traffic, and ConfigurationError where the store can't be read."""
    drawn = pairs.of_traffic
    if not store or not drawn.any():
        return pairs
    first, last = float(pairs.times[drawn].min()), float(pairs.times[drawn].max())
    with open_store(store) as connection:
        sides = _sides(connection, first, last)
        began = max((side.since for side in sides.values() if side.answered), default=first)
        for name, side in sides.items():
            if side.answered and not side.drawable:
                raise NoPromise(
                    f"the {name} answered {side.answered} of the newest queries, of which none was "
                    f"drawn to be asked of the {_other(name)}, too: pairs of one side alone "
                    f"promise nothing. Give {_SHARES[name]} more than 0 at all gateways, and wait"
                )
        if began > first:
            sides = _sides(connection, began, last)
    _require_equal(sides)
    return pairs.subset(np.flatnonzero(~drawn | (pairs.times >= began)))


def _sides(connection: "Connection", first: float, last: float) -> dict[Route, Side]:
    """V2 requests are left out: nothing of them is ever drawn."""
    from sqlalchemy import case, func, select

    from transformers_hem.feedback.records import CHAT
    from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

    columns = DECISIONS.c
    of_time: list[Any] = [
        columns.way == CHAT,
        columns.reason == "algorithm",
        columns.status == 200,
        columns.degraded == "",
        columns.served == columns.route,
        columns.at >= first,
        columns.at <= last,
    ]
    may = columns.shadow_share > 0
    asked = (
        select(
            columns.served,
            func.count(),
            func.sum(case((may, 1), else_=0)),
            func.min(case((may, columns.at))),
            func.sum(columns.shadow_share),
        )
        .where(*of_time)
        .group_by(columns.served)
    )
    found = {row[0]: tuple(row)[1:] for row in connection.execute(asked)}
    paired = (
        select(columns.served, func.count(func.distinct(columns.id)))
        .join_from(DECISIONS, FEEDBACK, columns.request_id == FEEDBACK.c.request_id)
        .where(*of_time, may, FEEDBACK.c.source == "shadow")
        .group_by(columns.served)
    )
    compared = {row[0]: int(row[1]) for row in connection.execute(paired)}
    sides: dict[Route, Side] = {}
    for name in _SIDES:
        answered, drawable, since, expected = found.get(name, (0, 0, None, 0.0))
        sides[name] = Side(
            int(answered),
            int(drawable),
            np.inf if since is None else float(since),
            float(expected),
            compared.get(name, 0),
        )
    return sides


def _require_equal(sides: dict[Route, Side]) -> None:
    """Raises NoPromise where one side has fewer pairs than chance explains."""
    edge, cloud = sides[EDGE], sides[CLOUD]
    pairs, expected = edge.compared + cloud.compared, edge.expected + cloud.expected
    if not (pairs and edge.expected and cloud.expected):
        return
    if binomtest(cloud.compared, pairs, cloud.expected / expected).pvalue >= ERROR:
        return
    few: Route = CLOUD if cloud.compared / cloud.expected < edge.compared / edge.expected else EDGE
    side = sides[few]
    raise NoPromise(
        f"of the queries that the {few} answered {side.compared} were asked of the "
        f"{_other(few)}, too, where about {pairs * side.expected / expected:.0f} of {pairs} pairs "
        "would be in a plain sample: pairs that miss more of one side promise nothing. See "
        "hem_feedback_shadow_total: the edge was busy, a guard kept them, or calls failed"
    )


def _other(side: Route) -> Route:
    return CLOUD if side == EDGE else EDGE
