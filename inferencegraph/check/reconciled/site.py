"""All objects that KServe makes of the documents of a site."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Objects
from inferencegraph.check.reconciled.components import components_of
from inferencegraph.check.reconciled.graphs import router_of
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.metadata import name_of
from inferencegraph.check.reconciled.objects import ingress_of, objects_of

_RUNTIMES: Final = ("ServingRuntime", "ClusterServingRuntime")


def reconciled(
    documents: Sequence[Mapping[str, Any]], installation: Installation | None = None
) -> list[dict[str, Any]]:
    """The objects of every InferenceService and InferenceGraph, which all have one namespace."""
    installation = installation or Installation()
    services = _named(documents, "InferenceService")
    runtimes = _named(documents, *_RUNTIMES)
    made: list[dict[str, Any]] = []
    for service in services.values():
        namespace = installation.namespace_of(service)
        for component in components_of(service, runtimes, installation):
            made += objects_of(component, namespace)
        if ingress := ingress_of(service, installation):
            made.append(ingress)
    for graph in _named(documents, "InferenceGraph").values():
        router = router_of(graph, services, runtimes, installation)
        made += objects_of(router, installation.namespace_of(graph))
    return made


def _named(documents: Sequence[Mapping[str, Any]], *kinds: str) -> Objects:
    return {
        name_of(content): content
        for content in map(mapping, documents)
        if content.get("kind") in kinds
    }
