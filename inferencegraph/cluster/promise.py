"""The share at the edge and the cost, with intervals, and whether a promise may still hold.

None of this needs labels, so it says nothing of quality itself: only whether what a promise of
quality rests on, queries like those of its calibration, is still given.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

from inferencegraph.cluster.telemetry import Figures
from predictors.contract import CLOUD, EDGE
from transformers_hem.calibration.drift import ALARM, LEAST

CONFIDENCE: Final = 0.95
HOLDS: Final = "its precondition holds"
VOID: Final = "void: the traffic has drifted"
UNKNOWN: Final = f"not known before {LEAST} scored queries"
NONE: Final = "none: no router with a calibrated threshold"
ALLOWED: Final = 0.05  # points a side that `hem calibrate --edge-ratio` allows


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Promise:
    """Of one site. `share`: of queries that stayed at the edge. `cost`: per 1,000 answers, in
    `currency`. `quality`: whether a promise of quality may hold; `drift`: the index behind that,
    None where it is not known."""

    queries: int
    share: Interval | None
    cost: Interval | None
    currency: str | None
    quality: str
    drift: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            "queries": self.queries,
            "edgeShare": self.share and self.share.as_json(),
            "costPer1000": self.cost and {**self.cost.as_json(), "currency": self.currency},
            "quality": self.quality,
            "drift": self.drift,
            "driftLimit": ALARM,
        }


def promise(figures: Figures) -> Promise:
    edge, cloud = int(figures.decisions[EDGE]), int(figures.decisions[CLOUD])
    currency, cost = _cost(figures)
    psi = figures.psi
    if psi is None:
        quality = NONE
    elif math.isnan(psi):
        quality = UNKNOWN
    else:
        quality = VOID if psi > ALARM else HOLDS
    known = psi if psi is not None and math.isfinite(psi) else None
    share = wilson(edge, edge + cloud)
    return Promise(edge + cloud, share, cost, currency, quality, known)


def wilson(count: int, rows: int, confidence: float = CONFIDENCE) -> Interval | None:
    """The score interval of a share (Wilson, JASA 22, 1927); None of no rows."""
    if rows == 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = count / rows
    scale = 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def _cost(figures: Figures) -> tuple[str | None, Interval | None]:
    """What 1,000 answers cost: each side's mean by its share. The interval is that of the share;
    the means are taken as they are. Several currencies can't be added: the one with most is
    told."""
    currencies = {currency for currency, _ in figures.costs}
    totals = {
        each: sum(cost for (currency, _), cost in figures.costs.items() if currency == each)
        for each in currencies
    }
    edge, cloud = figures.answers[EDGE], figures.answers[CLOUD]
    share = wilson(int(edge), int(edge + cloud))
    if not totals or share is None:
        return None, None
    currency = max(totals, key=lambda each: totals[each])
    means = {
        route: figures.costs[currency, route] / count if count else 0.0
        for route, count in ((EDGE, edge), (CLOUD, cloud))
    }
    at = [
        1000 * (each * means[EDGE] + (1 - each) * means[CLOUD])
        for each in (share.value, share.low, share.high)
    ]
    return currency, Interval(at[0], min(at), max(at))
