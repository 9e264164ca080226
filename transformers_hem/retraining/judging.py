"""Champion against challenger on the newest rows, for the record and the report."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.evaluation.quality import curve
from transformers_hem.lifelong.challenge import judge as judged
from transformers_hem.lifelong.contest import Difference
from transformers_hem.lifelong.observations import Observations
from transformers_hem.retraining.windows import Divided

POINTS: Final = 60


@dataclass(frozen=True, slots=True)
class Judgement:
    """`facts` go into the version's record and the report; `why` is for people; `curves` are of the
    window, by name: points (share of cloud calls, mean quality)."""

    better: bool
    why: str
    facts: dict[str, Any]
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def judge(
    rows: Divided, champion: Floats, threshold: float, challenger: Floats, seed: int
) -> Judgement:
    """By scores [N] of the held-out rows; `threshold` is the one that the champion serves with."""
    verdict = judged(rows.learned, rows.held_out, champion, challenger, threshold, seed)
    both = {"champion": champion, "challenger": challenger}
    facts: dict[str, Any] = {"rows": verdict.rows, "pairs": verdict.pairs}
    for name, found in (("apgr", verdict.apgr), ("cost", verdict.cost)):
        if found is not None:
            facts |= _difference(name, found)
    told = verdict.reason
    if verdict.apgr is not None:
        gain = verdict.apgr
        told += f" ({gain.mean:+.4f} of APGR, {gain.low:+.4f} to {gain.high:+.4f})"
    curves = {name: curve_of(scores, rows.held_out) for name, scores in both.items()}
    return Judgement(verdict.promote, told, facts, curves)


def unopposed(rows: Divided, challenger: Floats) -> Judgement:
    """Where there is no version yet."""
    curves = {"challenger": curve_of(challenger, rows.held_out)}
    return Judgement(True, "there was no version before", {}, curves)


def curve_of(scores: Floats, rows: Observations) -> list[tuple[float, float]]:
    """Of the rows of which both sides were seen; empty where there are none."""
    paired = np.flatnonzero(rows.paired)
    if not len(paired):
        return []
    edge, cloud = rows.outcomes[paired].T
    quality = curve(scores[paired], edge, cloud)
    at = np.unique(np.linspace(0, len(paired), POINTS + 1).astype(int))[::-1]
    return [(float(1 - i / len(paired)), float(quality[i])) for i in at]


def _difference(name: str, found: Difference) -> dict[str, float | None]:
    """Challenger minus champion."""
    ends = {"gain": found.mean, "low": found.low, "high": found.high}
    return {f"{name}_{end}": _rounded(value) for end, value in ends.items()}


def _rounded(value: float) -> float | None:
    """As JSON has it."""
    return round(float(value), 5) if np.isfinite(value) else None
