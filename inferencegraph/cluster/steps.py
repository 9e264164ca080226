"""Objects on their way to a cluster: their kind there, and the namespace that they get."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.cluster.api import Cluster, Resource
from inferencegraph.cluster.difference import difference, same
from inferencegraph.cluster.failures import NotServed
from inferencegraph.read.documents import Document
from predictors.errors import ConfigurationError

_DEFINITION: Final = "CustomResourceDefinition"


@dataclass(slots=True)
class Step:
    """One object on its way. `source`: where it comes from. `resource`: None where its kind is
    only defined here. `live`: as it stands; `after`: as it would stand, None where that could not
    be asked yet."""

    content: dict[str, Any]
    source: Document
    resource: Resource | None
    live: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def file(self) -> Path:
        return self.source.path

    @property
    def namespace(self) -> str | None:
        return namespace_of(self.content)

    @property
    def label(self) -> str:
        """Kind/name, as findings have it."""
        return f"{self.content['kind']}/{self.content['metadata']['name']}"

    @property
    def name(self) -> str:
        """The same with its namespace."""
        return name_of(self.content)

    @property
    def change(self) -> str:
        """created, changed or unchanged."""
        if self.live is None:
            return "created"
        return "unchanged" if self.after and same(self.live, self.after) else "changed"

    @property
    def difference(self) -> str:
        return difference(self.live, self.after or self.content)


def name_of(content: Any) -> str:
    """Kind/name, with the namespace where it has one."""
    metadata = mapping(mapping(content).get("metadata"))
    place = f" in {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{content.get('kind')}/{metadata.get('name')}{place}"


def namespace_of(content: Mapping[str, Any]) -> str | None:
    namespace = mapping(content.get("metadata")).get("namespace")
    return None if namespace is None else str(namespace)


def defined_kinds(documents: Sequence[Document]) -> dict[str, str]:
    """The scope of each kind whose CRD is among the documents."""
    specs = [
        mapping(document.content.get("spec"))
        for document in documents
        if document.content.get("kind") == _DEFINITION
    ]
    return {str(mapping(spec.get("names")).get("kind")): str(spec.get("scope")) for spec in specs}


def looked_up(
    cluster: Cluster, documents: Sequence[Document], defined: Mapping[str, str]
) -> tuple[list[Step], dict[str, Step]]:
    """Each object with its kind on the cluster; those whose kind is neither there nor `defined`
    stand apart, the first one of each fault."""
    steps = []
    faults: dict[str, Step] = {}
    for document in documents:
        step = Step(document.content, document, None)
        kind = document.content["kind"]
        try:
            step.resource = cluster.resource(document.content["apiVersion"], kind)
        except NotServed as error:
            if kind not in defined:
                faults.setdefault(str(error), step)
                continue
        steps.append(step)
    return steps, faults


def is_bound(step: Step, defined: Mapping[str, str]) -> bool:
    """Whether it lives in a namespace."""
    if step.resource is None:
        return defined[step.content["kind"]] == "Namespaced"
    return step.resource.namespaced


def placed(step: Step, default: str, chosen: str | None) -> dict[str, Any]:
    """In its namespace: its own, or else the command line's or the kubeconfig's."""
    metadata = mapping(step.content.get("metadata"))
    own = metadata.get("namespace")
    if own and chosen and own != chosen:
        raise ConfigurationError(
            f"{step.file}: {step.name} is of namespace {own!r}, but --namespace is {chosen!r}; "
            "leave one of them out"
        )
    return {**step.content, "metadata": {**metadata, "namespace": own or chosen or default}}


def absent_namespaces(cluster: Cluster, steps: Sequence[Step]) -> list[str]:
    """Those that are made here. A dry run makes none, so nothing in them can be tried out."""
    return [
        name
        for step in steps
        if step.content["kind"] == "Namespace" and step.resource is not None
        for name in [str(step.content["metadata"]["name"])]
        if not cluster.exists(step.resource, None, name)
    ]
