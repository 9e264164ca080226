"""A store of feedback in a file is written by one process: several replicas need PostgreSQL."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import components, containers, environment, mapping
from inferencegraph.check.problem import Finding, Others, error

VARIABLE: Final = "HEM_FEEDBACK_STORE"
_SERVERS: Final = ("postgresql", "postgres", "postgresql+psycopg")


def check_feedback(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """Of each component whose HEM keeps feedback in a file."""
    for role, component in components(service):
        most = max((_count(component, n) for n in ("minReplicas", "maxReplicas")), default=1)
        if most <= 1:
            continue
        for index, container in enumerate(containers(component)):
            store = environment(mapping(container), VARIABLE)
            if not store or str(store).partition("://")[0] in _SERVERS:
                continue
            yield error(
                f"spec.{role}.containers[{index}].env",
                f"{VARIABLE} is a file, which one replica alone may write, and there may be "
                f"{most}: set it to PostgreSQL's URL, or have one replica",
            )


def _count(component: Mapping[str, Any], name: str) -> int:
    value = component.get(name)
    return value if isinstance(value, int) else 0
