"""What the page shows of the process' own metrics: the one list of their names."""

from collections import defaultdict
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry

DECISIONS: Final = "hem_decisions_total"
ATTEMPTS: Final = "hem_attempts_total"
TOKENS: Final = "hem_tokens_total"
COST: Final = "hem_cost_total"
DECIDING: Final = "hem_decision_seconds"
SAID: Final = "hem_feedback_total"
UNKNOWN: Final = "hem_feedback_unknown_total"
REFUSED: Final = "hem_feedback_refused_total"
NOTICED: Final = "hem_feedback_signals_total"
SHADOW: Final = "hem_feedback_shadow_total"
KEPT: Final = "hem_feedback_decisions_total"
UP: Final = "hem_feedback_up"
SHOWN: Final = (
    *(DECISIONS, ATTEMPTS, TOKENS, COST, DECIDING),
    *(SAID, UNKNOWN, REFUSED, NOTICED, SHADOW, KEPT, UP),
)

Labels = tuple[str, ...]


def figures(registry: CollectorRegistry = REGISTRY) -> dict[str, Any]:
    """`decisions` by route, reason and algorithm; `calls` of models by outcome; `tokens` and `cost`
    by route; `deciding`: mean seconds, None before the first."""
    decisions = _sums(registry, DECISIONS, "route", "reason", "algorithm")
    deciding = _sums(registry, f"{DECIDING}_sum").get((), 0.0)
    decided = _sums(registry, f"{DECIDING}_count").get((), 0.0)
    return {
        "decisions": [
            {"route": route, "reason": reason, "algorithm": algorithm, "count": int(count)}
            for (route, reason, algorithm), count in sorted(decisions.items())
        ],
        "calls": _counts(registry, ATTEMPTS, "outcome"),
        "tokens": _counts(registry, TOKENS, "route"),
        "cost": {route: sum_ for (route,), sum_ in _sums(registry, COST, "route").items()},
        "deciding": deciding / decided if decided else None,
    }


def feedback(registry: CollectorRegistry = REGISTRY) -> dict[str, Any]:
    """`up`: whether the store can be written. `said` by source, without what was there already;
    `signals` by their names, `shadow` and `decisions` by what became of them."""
    said: dict[str, int] = defaultdict(int)
    for (source, state), count in _sums(registry, SAID, "source", "state").items():
        said[source] += int(count) if state != "duplicate" else 0
    return {
        "up": _sums(registry, UP).get((), 0.0) == 1,
        "said": dict(sorted(said.items())),
        "unknown": int(_sums(registry, UNKNOWN).get((), 0.0)),
        "refused": int(sum(_sums(registry, REFUSED, "reason").values())),
        "signals": _counts(registry, NOTICED, "signal"),
        "shadow": _counts(registry, SHADOW, "outcome"),
        "decisions": _counts(registry, KEPT, "outcome"),
    }


def _counts(registry: CollectorRegistry, name: str, label: str) -> dict[str, int]:
    return {value: int(count) for (value,), count in sorted(_sums(registry, name, label).items())}


def _sums(registry: CollectorRegistry, name: str, *labels: str) -> dict[Labels, float]:
    """Of the samples with this name, by these of their labels."""
    sums: dict[Labels, float] = defaultdict(float)
    for metric in registry.restricted_registry([name]).collect():
        for sample in metric.samples:
            if sample.name == name:
                sums[tuple(sample.labels[label] for label in labels)] += sample.value
    return dict(sums)
