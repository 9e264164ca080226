"""The API server's rules, asked of what KServe would make: it takes an InferenceService or a graph
in silence, and fails when it makes the Deployment."""

from collections.abc import Iterator, Mapping
from typing import Any

from inferencegraph.check.containers import components, mapping
from inferencegraph.check.core.metadata import check_annotations, check_labels
from inferencegraph.check.core.pod import check_pod
from inferencegraph.check.core.resources import check_resources
from inferencegraph.check.core.scheduling import check_scheduling
from inferencegraph.check.core.syntax import dns_subdomain, wrong
from inferencegraph.check.core.workload import check_strategy
from inferencegraph.check.problem import Finding, Others
from inferencegraph.check.reconciled.services import of_service


def check_made_services(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """The pods of an InferenceService."""
    for made in of_service(content, others.runtimes):
        if made.places:
            yield from check_pod(made.pod, made.pod_field, made.places, made.brought)
    for role, component in components(content):
        field = f"spec.{role}"
        yield from check_labels(component.get("labels"), f"{field}.labels")
        yield from check_annotations(component.get("annotations"), f"{field}.annotations")
        yield from check_strategy(
            component.get("deploymentStrategy"), f"{field}.deploymentStrategy"
        )


def check_made_graph(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """The router's pod of an InferenceGraph."""
    spec = mapping(content.get("spec"))
    yield from check_resources(spec.get("resources"), "spec.resources")
    yield from check_scheduling(spec, "spec")
    for name in ("nodeName", "serviceAccountName"):
        yield from wrong(f"spec.{name}", spec.get(name) or None, dns_subdomain)
