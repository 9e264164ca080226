"""All objects that KServe makes of the documents of a site."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Finding, Objects
from inferencegraph.check.reconciled.component import Component
from inferencegraph.check.reconciled.components import components_of
from inferencegraph.check.reconciled.graphs import router_of
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.metadata import name_of
from inferencegraph.check.reconciled.objects import ingress_of, objects_of

_RUNTIMES: Final = ("ServingRuntime", "ClusterServingRuntime")
_POD: Final = "spec.template.spec."


@dataclass(frozen=True, slots=True)
class Made:
    """One object, `of` which of the user's it is made, and the component that it is a part of;
    an Ingress is of none."""

    content: dict[str, Any]
    of: Mapping[str, Any]
    component: Component | None

    def told(self, finding: Finding) -> Finding:
        """A finding about a field of `content`, at the field of the user's object."""
        if finding.field == "metadata.name" or self.component is None:
            return replace(finding, field="metadata.name")
        if finding.field.startswith(_POD):
            # A webhook of the cluster may have added parts that nobody here knows.
            with suppress(IndexError, KeyError, TypeError):
                return self.component.told(replace(finding, field=finding.field.removeprefix(_POD)))
        about = f"{finding.field}: {finding.message}"
        return replace(finding, field=self.component.written.field, message=about)


def reconciled(
    documents: Sequence[Mapping[str, Any]], installation: Installation | None = None
) -> list[dict[str, Any]]:
    """The objects of every InferenceService and InferenceGraph, which all have one namespace."""
    return [each.content for each in made_of(documents, installation or Installation())]


def made_of(documents: Sequence[Mapping[str, Any]], installation: Installation) -> Iterator[Made]:
    services = _named(documents, "InferenceService")
    runtimes = _named(documents, *_RUNTIMES)
    for service in services.values():
        namespace = installation.namespace_of(service)
        for component in components_of(service, runtimes, installation):
            for content in objects_of(component, namespace):
                yield Made(content, service, component)
        if ingress := ingress_of(service, installation):
            yield Made(ingress, service, None)
    for graph in _named(documents, "InferenceGraph").values():
        router = router_of(graph, services, runtimes, installation)
        for content in objects_of(router, installation.namespace_of(graph)):
            yield Made(content, graph, router)


def _named(documents: Sequence[Mapping[str, Any]], *kinds: str) -> Objects:
    return {
        name_of(content): content
        for content in map(mapping, documents)
        if content.get("kind") in kinds
    }
