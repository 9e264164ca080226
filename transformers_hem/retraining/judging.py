"""Champion against challenger on the newest pairs."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from transformers_hem.arrays import Floats
from transformers_hem.evaluation.quality import curve, gap_recovered
from transformers_hem.lifelong.observations import Observations

POINTS: Final = 60
DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`facts` go into the version's record and the report; `why` is for people."""

    better: bool
    why: str
    facts: dict[str, Any]
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def judge(pairs: Observations, champion: Floats, challenger: Floats, seed: int) -> Verdict:
    edge, cloud = pairs.outcomes.T
    both = {"champion": champion, "challenger": challenger}
    areas = {name: gap_recovered(scores, edge, cloud) for name, scores in both.items()}
    random = np.random.default_rng(seed)
    gains = []
    for _ in range(DRAWS):
        drawn = random.integers(0, len(pairs), len(pairs))
        new, old = (
            gap_recovered(scores[drawn], edge[drawn], cloud[drawn])
            for scores in (challenger, champion)
        )
        gains.append(new - old)
    low, high = np.nanquantile(gains, [0.05, 0.95])
    better = bool(low > 0)
    facts = {**areas, "gain": areas["challenger"] - areas["champion"], "low": low, "high": high}
    said = f"gains {facts['gain']:+.4f} of APGR, {low:+.4f} to {high:+.4f}"
    return Verdict(
        better,
        f"the challenger {said}" + ("" if better else ": a tie, or worse"),
        {name: round(float(value), 5) for name, value in facts.items()},
        {name: curve_of(scores, pairs) for name, scores in both.items()},
    )


def curve_of(scores: Floats, pairs: Observations) -> list[tuple[float, float]]:
    """Points (share of cloud calls, mean quality)."""
    edge, cloud = pairs.outcomes.T
    quality = curve(scores, edge, cloud)
    at = np.unique(np.linspace(0, len(scores), POINTS + 1).astype(int))[::-1]
    return [(float(1 - i / len(scores)), float(quality[i])) for i in at]
