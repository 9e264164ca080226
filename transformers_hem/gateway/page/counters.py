"""What the page shows of the process' own metrics: the one list of their names."""

from collections import defaultdict
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry

DECISIONS: Final = "hem_decisions_total"
ATTEMPTS: Final = "hem_attempts_total"
TOKENS: Final = "hem_tokens_total"
COST: Final = "hem_cost_total"
DECIDING: Final = "hem_decision_seconds"

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
        "calls": {o: int(count) for (o,), count in _sums(registry, ATTEMPTS, "outcome").items()},
        "tokens": {r: int(count) for (r,), count in _sums(registry, TOKENS, "route").items()},
        "cost": {route: sum_ for (route,), sum_ in _sums(registry, COST, "route").items()},
        "deciding": deciding / decided if decided else None,
    }


def _sums(registry: CollectorRegistry, name: str, *labels: str) -> dict[Labels, float]:
    """Of the samples with this name, by these of their labels."""
    sums: dict[Labels, float] = defaultdict(float)
    for metric in registry.restricted_registry([name]).collect():
        for sample in metric.samples:
            if sample.name == name:
                sums[tuple(sample.labels[label] for label in labels)] += sample.value
    return dict(sums)
