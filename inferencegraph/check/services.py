"""InferenceServices: what KServe accepts and then runs wrongly."""

from collections.abc import Iterator, Mapping
from typing import Any

from inferencegraph.check.containers import (
    COLLOCATED_TRANSFORMER,
    PREDICTOR_CONTAINER,
    argument,
    components,
    containers,
    environment,
    mapping,
)
from inferencegraph.check.names import check_deployment_mode, check_name
from inferencegraph.check.problem import (
    Finding,
    error,
    warning,
)


def check_service(service: Mapping[str, Any]) -> Iterator[Finding]:
    has_transformer = "transformer" in mapping(service.get("spec"))
    yield from check_name(service, "-transformer" if has_transformer else "-predictor")
    yield from check_deployment_mode(service)
    for role, component in components(service):
        yield from _check_component(role, component)


def _check_component(role: str, component: Mapping[str, Any]) -> Iterator[Finding]:
    field = f"spec.{role}"
    if role == "transformer" and component.get("containerConcurrency") is not None:
        yield error(
            f"{field}.containerConcurrency",
            "KServe makes --workers of it, and more than one worker loses the predictor's address "
            "(every inference answers 501); remove it",
        )
    inside = containers(component)
    names = [container.get("name") for container in inside]
    if role == "predictor" and len(inside) > 1 and PREDICTOR_CONTAINER not in names:
        yield error(
            f"{field}.containers",
            f"of several containers KServe serves the one called {PREDICTOR_CONTAINER!r}; "
            f"found: {', '.join(map(str, names))}",
        )
    for index, container in enumerate(inside):
        if index == 0 or container.get("name") in (PREDICTOR_CONTAINER, COLLOCATED_TRANSFORMER):
            yield from _check_container(container, f"{field}.containers[{index}]")


def _check_container(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    if not container.get("image"):
        yield error(f"{field}.image", "is missing, but required")
    workers = argument(container, "--workers")
    if workers is not None and workers != "1":
        yield error(
            f"{field}.args",
            f"--workers={workers}: more than one worker loses the predictor's address (501); "
            "remove it and raise minReplicas",
        )
    protocol = environment(container, "PROTOCOL")
    if protocol not in (None, "v1", "v2"):
        yield error(f"{field}.env", f"PROTOCOL is {protocol!r}; KServe knows 'v1' and 'v2'")
    if "httpGet" not in mapping(container.get("readinessProbe")):
        yield warning(
            f"{field}.readinessProbe",
            "without httpGet a pod counts as ready while it loads; use the path "
            "/v2/models/NAME/ready",
        )
