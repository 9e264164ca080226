"""Champion against challenger on the newest pairs."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.evaluation.quality import curve, gap_recovered
from transformers_hem.lifelong.contest import Difference, Judged, contest
from transformers_hem.lifelong.observations import Observations

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
    pairs: Observations, champion: Floats, threshold: float, challenger: Floats, seed: int
) -> Judgement:
    """`threshold`: the one that the champion serves with."""
    verdict = contest(
        Judged(champion, challenger, threshold, pairs.outcomes, len(pairs)), seed=seed
    )
    both = {"champion": champion, "challenger": challenger}
    facts: dict[str, Any] = {
        f"{name}_apgr": _rounded(gap_recovered(scores, *pairs.outcomes.T))
        for name, scores in both.items()
    }
    facts |= {"rows": verdict.rows, "pairs": verdict.pairs}
    for name, found in (("apgr", verdict.apgr), ("cost", verdict.cost)):
        if found is not None:
            facts |= _difference(name, found)
    told = verdict.reason
    if verdict.apgr is not None:
        gain = verdict.apgr
        told += f" ({gain.mean:+.4f} of APGR, {gain.low:+.4f} to {gain.high:+.4f})"
    curves = {name: curve_of(scores, pairs) for name, scores in both.items()}
    return Judgement(verdict.promote, told, facts, curves)


def unopposed(pairs: Observations, challenger: Floats) -> Judgement:
    """Where there is no version yet."""
    curves = {"challenger": curve_of(challenger, pairs)}
    return Judgement(True, "there was no version before", {}, curves)


def curve_of(scores: Floats, pairs: Observations) -> list[tuple[float, float]]:
    edge, cloud = pairs.outcomes.T
    quality = curve(scores, edge, cloud)
    at = np.unique(np.linspace(0, len(scores), POINTS + 1).astype(int))[::-1]
    return [(float(1 - i / len(scores)), float(quality[i])) for i in at]


def _difference(name: str, found: Difference) -> dict[str, float | None]:
    """Challenger minus champion."""
    ends = {"gain": found.mean, "low": found.low, "high": found.high}
    return {f"{name}_{end}": _rounded(value) for end, value in ends.items()}


def _rounded(value: float) -> float | None:
    """As JSON has it."""
    return round(float(value), 5) if np.isfinite(value) else None
