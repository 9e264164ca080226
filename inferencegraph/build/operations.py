"""Objects that don't answer, but keep what answers: budgets for disruptions."""

from collections.abc import Iterator, Sequence
from typing import Any


def disruption_budgets(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One for each component with two pods or more: a drain takes them one by one. With one pod it
    would hold the drain up for ever."""
    return [
        budget
        for content in objects
        if content["kind"] == "InferenceService"
        for budget in _budgets(content)
    ]


def _budgets(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for role, component in service["spec"].items():
        if component["minReplicas"] > 1:
            name = f"{service['metadata']['name']}-{role}"
            yield {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": name, "labels": dict(service["metadata"]["labels"])},
                "spec": {
                    "maxUnavailable": 1,
                    "selector": {"matchLabels": {"app": f"isvc.{name}"}},
                },
            }
