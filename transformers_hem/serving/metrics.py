"""What Prometheus sees of mining, on /metrics beside kserve's own."""

from prometheus_client import Counter, Gauge, Histogram

from transformers_hem.calibration.drift import ScoreDrift
from transformers_hem.serving.decision import Decision

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
_PSI = Gauge(
    "hem_score_psi",
    "Population stability index of the last 1000 scores against the router's calibration; above "
    "0.2 queries have changed; NaN before 200 scores.",
    ["algorithm"],
)


def watch(drift: ScoreDrift, algorithm: str) -> None:
    """The gauge asks for the index when it is scraped."""
    _PSI.labels(algorithm).set_function(drift.index)


def observe(decision: Decision, seconds: float) -> None:
    _DECISIONS.labels(decision.route, decision.reason, decision.algorithm).inc()
    _SECONDS.labels(decision.algorithm).observe(seconds)
    if decision.score is not None:
        _SCORE.labels(decision.algorithm).observe(decision.score)
