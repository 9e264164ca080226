"""Malicious clients in the stream of lifelong_stream.py: what they say, how often, since when, and
what that costs whoever serves at the end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.lifelong_plot import interval
from tests.benchmarks.lifelong_stream import (
    Floats,
    Learn,
    Order,
    Rows,
    Stream,
    Table,
    Use,
    taught,
)
from transformers_hem.lifelong.challenge import Round, judge, prepared
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.windows import windows

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
        "turned around, 6 times as often, of the new topic alone": replace(often, topic=newest),
        f"the same{FEW}": replace(often, topic=newest, base=150, shadow=0.08),
        "2 of 40 clients, 30 times as often": replace(around, malicious=2, times=30),
        "honest for half of the stream, then 6 times": replace(often, since=shift + 334),
        "as comparisons of both sides, 3 times as often": replace(around, times=3, both=True),
        "40 of 200 clients, 6 times as often": replace(often, clients=200, malicious=40),
        "each report by a client of its own": replace(around, sybils=True),
        "each by a client of its own, 6 times as often": replace(often, sybils=True),
        "each of a client of its own, honest ones too": replace(around, alone=True),
        "the same, 6 times as often": replace(often, alone=True),
    }


# A fifth of the clients, which say as much as others.
A_FIFTH: Final = (
    "lots are drawn",
    "the opposite",
    "the edge is always bad",
    "the edge is good at the new topic, else the truth",
    "turned around",
)


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


@dataclass(frozen=True)
class Attacked:
    """APGR on what comes next, of who serves at the end and of the last challenger; the parts of
    their weight that honest and malicious reports kept, and the part of honest clients that are
    believed by less than half."""

    serving: float
    challenger: float
    honest: float
    malicious: float
    alarms: float


def attacked(
    table: Table,
    order: Order,
    learn: Learn,
    use: Use,
    champion: Floats,
    threat: Threat,
    defence: Defence,
) -> Attacked:
    """`champion`: the start router's scores of all rows of the table."""
    order, use = threat.changed(order, use)
    stream = AttackedStream(table, order, use, np.random.default_rng(order.seed), threat=threat)
    challenger, recent, since, kept = champion, order.base, -1.0, (1.0, 1.0, 0.0)
    for first in range(0, len(order.stream), use.block):
        block = order.stream[first : first + use.block]
        threshold = float(np.quantile(champion[recent], 1 - use.at_the_cloud))
        stream.serve(block, champion[block] > threshold, first)
        recent = block
        seen, rows = stream.seen()
        lied = np.array([False] * len(order.base) + stream.lied)
        used = np.arange(len(order.base), len(seen))
        parts = windows(seen, used, since, share=0.0)
        if defence == "defended":
            before, plan = seen, Round(since=since, seed=order.seed)
            seen = prepared(seen, used, plan, parts.reserved)
            kept = _kept(before, seen.weights, lied)
        challenger, out_of_fold = taught(learn, seen.subset(parts.train), rows[parts.train])
        scores = challenger[rows]
        scores[parts.train] = out_of_fold
        verdict = judge(seen, parts, champion[rows], scores, threshold, order.seed)
        if verdict.promote:
            champion, since = challenger, float(seen.times.max())
    ends = (table.apgr(each, order.upcoming) for each in (champion, challenger))
    return Attacked(*ends, *kept)


def _kept(before: Observations, weights: Floats, lied: NDArray[np.bool_]) -> tuple[float, ...]:
    said = before.clients >= 0
    parts = [
        float(weights[some].sum() / max(before.weights[some].sum(), 1))
        for some in (said & ~lied, said & lied)
    ]
    honest = np.setdiff1d(before.clients[said], before.clients[said & lied])
    belief = [
        weights[before.clients == who].sum() / before.weights[before.clients == who].sum()
        for who in honest
    ]
    return (*parts, float(np.mean(np.array(belief) < 0.5)) if belief else 0.0)


def costs(
    table: Table, order: Order, learn: Learn, use: Use, threats: Mapping[str, Threat]
) -> Iterator[dict[str, Any]]:
    """Of one order: each threat under each defence, and honest clients under both; APGR that is
    lost against honest clients who are all believed, with as many base rows and pairs."""
    for base, shadow in dict.fromkeys((each.base, each.shadow) for each in threats.values()):
        start = order.base[:base]
        champion, _ = learn(start, table.labels(start))
        calm = Threat(lambda rows, outcomes: outcomes, malicious=0, base=base, shadow=shadow)
        honest = attacked(table, order, learn, use, champion, calm, "believed")
        threatened = [
            (f"nobody lies{'' if base is None else FEW}", calm),
            *(each for each in threats.items() if (each[1].base, each[1].shadow) == (base, shadow)),
        ]
        for (name, threat), defence in product(threatened, DEFENCES):
            now = honest
            if threat is not calm or defence == "defended":
                now = attacked(table, order, learn, use, champion, threat, defence)
            lost = {"serving": honest.serving - now.serving}
            lost["challenger"] = honest.challenger - now.challenger
            yield {"threat": name, "defence": defence, **asdict(now), **lost}


def told(rows: Sequence[Mapping[str, float]]) -> str:
    """Of all orders."""
    parts = []
    for kind in ("serving", "challenger"):
        lost = np.array([row[kind] for row in rows])
        low, high = interval(lost)
        parts.append(
            f"{kind} {lost.mean():+.3f} [{low:+.3f}, {high:+.3f}], worst {lost.max():+.3f}"
        )
    kept = (
        float(np.mean([row[kind] for row in rows])) for kind in ("honest", "malicious", "alarms")
    )
    honest, malicious, alarms = kept
    return f"{'; '.join(parts)}; kept {honest:.0%} and {malicious:.0%}; {alarms:.1%} alarms"
