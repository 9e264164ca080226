"""What was found of champion and challenger, for a version's record and the report."""

from typing import Any, Final

import numpy as np

from transformers_hem.evaluation.quality import curve
from transformers_hem.lifelong.contest import Difference, Verdict
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.retraining.challenger import scores_of

POINTS: Final = 60
Points = list[tuple[float, float]]


def facts_of(verdict: Verdict, significance: float) -> dict[str, Any]:
    """Differences are challenger minus champion, of APGR and of the share of queries that go to the
    cloud for the same quality; `significance` is the error at each end of their intervals."""
    facts: dict[str, Any] = {
        "rows": verdict.rows,
        "pairs": verdict.pairs,
        "significance": significance,
    }
    for name, found in (("apgr", verdict.apgr), ("cost", verdict.cost)):
        if found is not None:
            facts |= _difference(name, found)
    return facts


def sentence(verdict: Verdict) -> str:
    if verdict.apgr is None:
        return verdict.reason
    gain = verdict.apgr
    return f"{verdict.reason} ({gain.mean:+.4f} of APGR, {gain.low:+.4f} to {gain.high:+.4f})"


def curves_of(routers: dict[str, Scorer], rows: Observations) -> dict[str, Points]:
    """By each router's name: mean quality over the share of cloud calls, on the rows of which both
    sides were seen; nothing where there are none."""
    pairs = rows.subset(np.flatnonzero(rows.paired))
    if not len(pairs):
        return {}
    edge, cloud = pairs.outcomes.T
    at = np.unique(np.linspace(0, len(pairs), POINTS + 1).astype(int))[::-1]
    found = {}
    for name, router in routers.items():
        quality = curve(scores_of(router, pairs.queries), edge, cloud)
        found[name] = [(float(1 - i / len(pairs)), float(quality[i])) for i in at]
    return found


def _difference(name: str, found: Difference) -> dict[str, float | None]:
    ends = {"gain": found.mean, "low": found.low, "high": found.high}
    return {
        f"{name}_{end}": round(float(value), 5) if np.isfinite(value) else None
        for end, value in ends.items()
    }
