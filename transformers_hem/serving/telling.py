"""What Prometheus, the log and a trace get of a decision; never the query."""

import asyncio
import logging
import time
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from predictors.tracing.genai import decided
from predictors.tracing.spans import Span
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.decision import Decider, Decision
from transformers_hem.serving.leaving import is_made

logger = logging.getLogger("kserve.hem")

_DECISIONS = Counter(
    "hem_decisions_total",
    "Requests by route, reason and algorithm.",
    ["route", "reason", "algorithm"],
)
_SCORE = Histogram(
    "hem_score",
    "Difficulty of scored requests.",
    ["algorithm"],
    buckets=[step / 20 for step in range(1, 21)],
)
_SECONDS = Histogram(
    "hem_decision_seconds",
    "Time to decide one request, scoring included.",
    ["algorithm"],
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0),
)
PSI = Gauge(
    "hem_score_psi",
    "Population stability index of the last 1000 scores against the router's calibration; above "
    "0.2 queries have changed; NaN before 200 scores.",
    ["algorithm"],
)


@dataclass(frozen=True, slots=True)
class Told:
    decision: Decision
    rows: int
    request_id: str | None
    seconds: float

    @classmethod
    def of(
        cls,
        decider: Decider,
        decision: Decision,
        batch: Batch,
        request_id: str | None,
        started: float,
    ) -> "Told":
        """`started` is a `time.perf_counter()`."""
        identity = _logged_id(decider, decision, request_id)
        return cls(decision, batch.size, identity, time.perf_counter() - started)


def tell(told: Told) -> None:
    """Once the decision is on its way: a line of a log takes as long as many decisions."""
    asyncio.get_running_loop().call_soon(_log, told)


def _log(told: Told) -> None:
    decision = told.decision
    _DECISIONS.labels(decision.route, decision.reason, decision.algorithm).inc()
    _SECONDS.labels(decision.algorithm).observe(told.seconds)
    if decision.score is not None:
        _SCORE.labels(decision.algorithm).observe(decision.score)
    logger.info(
        "decision id=%.128r route=%s score=%s threshold=%g algorithm=%s reason=%s rows=%d ms=%.3f",
        told.request_id or "-",
        decision.route,
        "-" if decision.score is None else f"{decision.score:.4f}",
        decision.threshold,
        decision.algorithm,
        decision.reason,
        told.rows,
        told.seconds * 1000,
    )


def _logged_id(decider: Decider, decision: Decision, request_id: str | None) -> str | None:
    """It may be what is private."""
    private = decision.reason in decider.private_guards
    return None if private and request_id and not is_made(request_id) else request_id


def describe(mining: Span, decision: Decision, batch: Batch) -> None:
    if mining.recording:
        mining.set({**decided(decision.parameters()), "hem.rows": batch.size})
