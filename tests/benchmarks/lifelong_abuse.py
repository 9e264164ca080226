"""What malicious clients cost: the challenger alone, whether it is promoted or not, and whoever
serves at the end of whole rounds."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.lifelong_attacks import AttackedStream, Threat
from tests.benchmarks.lifelong_plot import interval
from tests.benchmarks.lifelong_stream import Floats, Learn, Order, Rows, Table, Use, taught
from transformers_hem.lifelong.challenge import Round, judge, prepared
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.outcomes import expected
from transformers_hem.lifelong.windows import windows

# All are believed; or as `hem retrain` does.
Defence = Literal["believed", "defended"]
DEFENCES: Final[tuple[Defence, ...]] = ("believed", "defended")
NOBODY: Final = Threat(lambda rows, outcomes: outcomes, malicious=0)
Play = Callable[[Order, Threat, Defence], "Attacked"]


@dataclass(frozen=True)
class Attacked:
    """APGR on what comes next: of who serves at the end, NaN where nobody asked, and of the last
    challenger. The parts of their weight that honest and malicious reports kept, and the part of
    honest clients that are believed by less than half."""

    serving: float
    challenger: float
    honest: float
    malicious: float
    alarms: float


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


class Challengers:
    """Of what a `LinearRouter` learns at its heart: a regression for each side. The start router
    serves all of the stream, so what lies do is hidden by no contest."""

    def __init__(self, table: Table, use: Use) -> None:
        self._table, self._use = table, use
        self._known: dict[tuple[int, int], Floats] = {}

    def play(self, order: Order, threat: Threat, defence: Defence) -> Attacked:
        table = self._table
        order, use = threat.changed(order, self._use)
        stream = AttackedStream(table, order, use, np.random.default_rng(order.seed), threat=threat)
        start, _ = stream.seen()
        lead = self._start(start, order)
        stream.serve(order.stream, lead > np.median(lead), 0)
        seen, _ = stream.seen()
        lied, kept = np.array([False] * len(start) + stream.lied), (1.0, 1.0, 0.0)
        if defence == "defended":
            used, nothing = np.arange(len(start), len(seen)), np.array([], dtype=np.int64)
            before, seen = seen, prepared(seen, used, Round(), nothing)
            kept = _kept(before, seen.weights, lied)
        scores = np.zeros(len(table.queries))
        scores[order.upcoming] = self._leads(seen, order.upcoming)
        return Attacked(np.nan, table.apgr(scores, order.upcoming), *kept)

    def _start(self, start: Observations, order: Order) -> Floats:
        by = (order.seed, len(order.base))
        if by not in self._known:
            self._known[by] = self._leads(start, order.stream)
        return self._known[by]

    def _leads(self, seen: Observations, rows: Rows) -> Floats:
        """By how much the cloud is expected to be better."""
        found = expected(seen, [self._table.queries[i] for i in rows])
        return found[:, 1] - found[:, 0]


class Rounds:
    """Of routers as `learn` learns them, in whole rounds with their contests."""

    def __init__(self, table: Table, learn: Learn, use: Use) -> None:
        self._table, self._learn, self._use = table, learn, use
        self._known: dict[tuple[int, int], Floats] = {}

    def play(self, order: Order, threat: Threat, defence: Defence) -> Attacked:
        table, learn = self._table, self._learn
        order, use = threat.changed(order, self._use)
        champion = self._start(order)
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
            challenger, scores, models = taught(learn, seen, rows, parts.train)
            by = champion[rows], scores, threshold, order.seed, models
            verdict = judge(seen, parts, *by)
            if verdict.promote:
                champion, since = challenger, float(seen.times.max())
        ends = (table.apgr(each, order.upcoming) for each in (champion, challenger))
        return Attacked(*ends, *kept)

    def _start(self, order: Order) -> Floats:
        by = (order.seed, len(order.base))
        if by not in self._known:
            self._known[by], _ = self._learn(order.base, self._table.labels(order.base))
        return self._known[by]


def costs(play: Play, order: Order, threats: Mapping[str, Threat]) -> Iterator[dict[str, Any]]:
    """Of one order, each threat under each defence: APGR that is lost against honest clients who
    are all believed, with as many base rows and pairs."""
    honest: dict[tuple[int | None, float | None], Attacked] = {}
    for (name, threat), defence in product(threats.items(), DEFENCES):
        scarce = threat.base, threat.shadow
        if scarce not in honest:
            calm = replace(NOBODY, base=threat.base, shadow=threat.shadow)
            honest[scarce] = play(order, calm, "believed")
        now, before = play(order, threat, defence), honest[scarce]
        lost = {"serving": before.serving - now.serving}
        lost["challenger"] = before.challenger - now.challenger
        yield {"threat": name, "defence": defence, "seed": order.seed, **asdict(now), **lost}


def told(rows: Sequence[Mapping[str, float]]) -> str:
    """Of all orders: means with 95% intervals, and the worst one."""
    parts = []
    for kind in ("serving", "challenger"):
        lost = np.array([row[kind] for row in rows])
        low, high = interval(lost)
        parts.append(f"{kind} {lost.mean():.3f} [{low:.3f}, {high:.3f}], worst {lost.max():.3f}")
    for kind in ("honest", "malicious", "alarms"):
        parts.append(f"{kind} {np.mean([row[kind] for row in rows]):.3f}")
    return "; ".join(parts)


def reported(
    play: Play, orders: Sequence[Order], threats: Mapping[str, Threat]
) -> dict[str, list[dict[str, Any]]]:
    """All rows by threat and defence, which are printed as they come, and what they tell."""
    found: dict[str, list[dict[str, Any]]] = {}
    for order in orders:
        for row in costs(play, order, threats):
            print(f"\n{json.dumps({'benchmark': 'malicious feedback', **row})}", flush=True)
            found.setdefault(f"{row['threat']}, {row['defence']}", []).append(row)
    for name, rows in found.items():
        print(f"{name}: {told(rows)}")
    return found
