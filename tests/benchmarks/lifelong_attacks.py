"""Malicious clients in the stream of lifelong_stream.py: what they say, how often, since when."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.lifelong_stream import (
    Floats,
    Order,
    Rows,
    Stream,
    Table,
    Use,
)
from transformers_hem.lifelong.observations import Observation, Propensity

# Of rows of the table and their outcomes [n, 2], what a malicious client says of both sides.
Lie = Callable[[Rows, Floats], Floats]
# All are believed; or as `hem retrain` does.
Defence = Literal["believed", "defended"]
DEFENCES: Final[tuple[Defence, ...]] = ("believed", "defended")
FEW: Final = ", few base rows and pairs"


@dataclass(frozen=True)
class Threat:
    """`malicious` of the clients lie, from the query `since` of the stream on, and say then
    `times` as much as honest ones, about `topic` where one is aimed at. `both`: they compare both
    sides. `sybils`: each of their reports has a client of its own; `alone`: so has everybody's.
    `base` rows, this share of pairs and `clients` there are, None: as in the order and the use."""

    lie: Lie
    malicious: int = 8
    times: int = 1
    since: int = 0
    topic: int | None = None
    both: bool = False
    sybils: bool = False
    alone: bool = False
    base: int | None = None
    shadow: float | None = None
    clients: int | None = None

    def changed(self, order: Order, use: Use) -> tuple[Order, Use]:
        changes = {"shadow": self.shadow, "clients": self.clients}
        use = replace(use, **{name: each for name, each in changes.items() if each is not None})
        return replace(order, base=order.base[: self.base]), use


def threats(table: Table, newest: int, shift: int) -> dict[str, Threat]:
    """`newest`: the topic that comes at `shift`, of which the edge knows little."""
    rng = np.random.default_rng(0)
    new = table.topics == newest

    def lots(rows: Rows, outcomes: Floats) -> Floats:
        return (rng.random(outcomes.shape) < 0.5).astype(float)

    def opposite(rows: Rows, outcomes: Floats) -> Floats:
        return 1 - outcomes

    def edge_bad(rows: Rows, outcomes: Floats) -> Floats:
        return np.broadcast_to([0.0, 1.0], outcomes.shape)

    def good_at_the_new_topic(rows: Rows, outcomes: Floats) -> Floats:
        return np.where(new[rows, None], [1.0, 0.0], outcomes)

    def turned(rows: Rows, outcomes: Floats) -> Floats:
        return np.where(new[rows, None], [1.0, 0.0], [0.0, 1.0])

    around = Threat(turned)
    often = replace(around, times=6)
    return {
        "lots are drawn": Threat(lots),
        "the opposite": Threat(opposite),
        "the edge is always bad": Threat(edge_bad),
        "the edge is good at the new topic, else the truth": Threat(good_at_the_new_topic),
        "turned around": around,
        "the opposite, 6 times as often": Threat(opposite, times=6),
        FLOOD: replace(often, topic=newest),
        f"the same{FEW}": replace(often, topic=newest, base=150, shadow=0.08),
        "turned around, few base rows, no pairs": replace(around, base=150, shadow=0.0),
        "the same, 6 times as often, of the new topic": replace(
            often, topic=newest, base=150, shadow=0.0
        ),
        "the edge is good at the new topic, else the truth, 6 times as often": Threat(
            good_at_the_new_topic, times=6
        ),
        "2 of 40 clients, 30 times as often": replace(around, malicious=2, times=30),
        "honest for half of the stream, then 6 times": replace(often, since=shift + 334),
        "as comparisons of both sides, 3 times as often": replace(around, times=3, both=True),
        "40 of 200 clients, 6 times as often": replace(often, clients=200, malicious=40),
        "18 of 40 clients, 3 times as often, few base rows, no pairs": replace(
            around, malicious=18, times=3, base=150, shadow=0.0
        ),
        "each report by a client of its own": replace(around, sybils=True),
        "each by a client of its own, 6 times as often": replace(often, sybils=True),
        "each of a client of its own, honest ones too": replace(around, alone=True),
        "the same, 6 times as often": replace(often, alone=True),
    }


# A fifth of the clients, which say as much as others.
A_FIFTH: Final = (
    "lots are drawn",
    "the opposite",
    "turned around",
    "the edge is good at the new topic, else the truth",
)
FLOOD: Final = "turned around, 6 times as often, of the new topic alone"


@dataclass
class AttackedStream(Stream):
    """`lied`: whether each row that came back is a lie."""

    threat: Threat | None = None
    lied: list[bool] = field(default_factory=list)

    def serve(self, rows: Rows, cloud: NDArray[np.bool_], first: int) -> None:
        use, rng, threat = self.use, self.rng, self.threat
        shown = rng.random(len(rows)) < use.feedback
        shadow = rng.random(len(rows)) < use.shadow
        client = rng.integers(use.clients, size=len(rows))
        told, lies = self.table.outcomes[rows], np.zeros(len(rows), dtype=bool)
        more = np.zeros(0, dtype=np.int64)
        if threat is not None:
            now = first + np.arange(len(rows)) >= threat.since
            lies = now & ~shadow & (client >= use.clients - threat.malicious)
            more = self._more(rows, ~shown & now, int((threat.times - 1) * (lies & shown).sum()))
            told = threat.lie(rows, told)
        for i in np.flatnonzero(shown):
            pair, lie = bool(shadow[i]), bool(lies[i])
            outcomes = told[i] if lie else self.table.outcomes[rows[i]]
            self._add(rows[i], outcomes, bool(cloud[i]), first + i, client[i], pair, lie)
        liars = np.arange(use.clients - (threat.malicious if threat else 0), use.clients)
        for number, i in enumerate(more):
            liar = liars[number % len(liars)]
            self._add(rows[i], told[i], bool(cloud[i]), first + i, liar, False, True)

    def _more(self, rows: Rows, free: NDArray[np.bool_], count: int) -> Rows:
        """Places in the block of what malicious clients say beside their share."""
        topic = self.threat.topic if self.threat else None
        found = np.flatnonzero(free & ((self.table.topics[rows] == topic) | (topic is None)))
        return np.random.default_rng([self.order.seed, len(self.said)]).permutation(found)[:count]

    def _add(
        self, row: int, outcomes: Floats, cloud: bool, at: int, client: int, pair: bool, lie: bool
    ) -> None:
        threat, share = self.threat, self.use.shadow
        edge, other = map(float, outcomes)
        both = pair or bool(lie and threat and threat.both)
        made_up = threat is not None and (threat.alone or (threat.sybils and lie))
        name = f"client-{client}" if not made_up else f"alone-{len(self.said)}"
        if both and not pair:
            share = 1.0
        self.said.append(
            Observation(
                query=self.table.queries[row],
                edge=edge if both or not cloud else None,
                cloud=other if both or cloud else None,
                kind="shadow" if pair else "explicit",
                propensity=Propensity(float(not cloud), share, share),
                at=float(at),
                client="" if pair else name,
            )
        )
        self.rows.append(int(row))
        self.lied.append(lie)
