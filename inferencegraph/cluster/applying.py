"""Server-side apply of all objects: first as a dry run, then for good, then what is left over goes.

Kubernetes has no transactions, so what can be refused is refused before the first change, and a
failure after it says what stands.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.cluster import order
from inferencegraph.cluster.api import AT_ONCE, OWN_GROUP, Cluster, Resource
from inferencegraph.cluster.difference import difference, same
from inferencegraph.cluster.failures import ClusterError, NotServed
from inferencegraph.cluster.foreseen import refusals
from inferencegraph.cluster.owners import (
    KEPT,
    labelled,
    owned_objects,
    the_owners,
)
from inferencegraph.cluster.references import missing
from inferencegraph.cluster.sources import Sources
from inferencegraph.read.documents import Document
from inferencegraph.spec.kinds import KIND as SPEC_KIND
from predictors.errors import ConfigurationError

SPEC_VERSION: Final = f"{OWN_GROUP}/v1alpha1"
_DEFINITION: Final = "CustomResourceDefinition"
# Answers after which the next object may still be asked; others would come again.
_ABOUT_THE_OBJECT: Final = (400, 403, 404, 409, 413, 422, 500)
_ESTABLISHED_SECONDS: Final = 30  # that a new CRD may take to be served


@dataclass(slots=True)
class Step:
    """One object on its way. `live`: as it stands; `after`: as it would stand, None where that
    could not be asked yet."""

    content: dict[str, Any]
    file: Path
    resource: Resource | None
    live: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def name(self) -> str:
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


@dataclass(slots=True)
class Plan:
    """All that will be done. `left`: objects of the same owners that go; `kept`: claims that are
    left over, and stay."""

    owners: list[str]
    steps: list[Step]
    left: list[tuple[Resource, dict[str, Any]]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def name_of(content: Any) -> str:
    """Kind/name, with the namespace where it has one."""
    metadata = mapping(mapping(content).get("metadata"))
    place = f" in {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{content.get('kind')}/{metadata.get('name')}{place}"


def plan(
    cluster: Cluster,
    sources: Sources,
    *,
    namespace: str | None = None,
    owner: str | None = None,
    force: bool = False,
    prune: bool = True,
) -> Plan:
    """Changes nothing. Raises ConfigurationError or ClusterError with all that is refused, one on
    a line."""
    documents = _with_specs(cluster, sources)
    defined = _defined(documents)
    steps = _looked_up(cluster, documents, defined)
    bound = [step for step in steps if _is_bound(step, defined)]
    owners = the_owners([Document(each.file, each.content) for each in bound], owner)
    for step in bound:
        placed = _placed(step, cluster.namespace, namespace)
        step.content = labelled(placed, owners[0], overrule=owner is not None)
    made = Plan(owners, sorted(steps, key=lambda step: order.place(step.content)))
    absent = _absent_namespaces(cluster, made.steps)
    _try_out(cluster, made.steps, absent, force)
    there = [step.content for step in made.steps if _space(step.content) not in absent]
    errors, made.notes = refusals(cluster, there)
    if errors:
        raise ClusterError(_nothing_changed(errors))
    made.notes += missing(cluster, there)
    if sources.specs and not any(step.content["kind"] == SPEC_KIND for step in steps):
        made.notes.append(
            f"this cluster does not have the kind {SPEC_KIND}, so the spec itself is not stored "
            "there (hem schema --crd | kubectl apply -f -)"
        )
    if prune:
        _find_left_over(cluster, made)
    return made


def carry_out(
    cluster: Cluster, made: Plan, *, force: bool, tell: Callable[[str, str], None]
) -> None:
    """Applies, then prunes; tells each change. Raises ClusterError that says what stands."""
    done: list[str] = []
    rest = [step.name for step in made.steps]
    rest += [f"(delete) {name_of(content)}" for _, content in made.left]
    try:
        for verb, name, act in _acts(cluster, made, force):
            act()
            done.append(f"{name} {verb}")
            rest.pop(0)
            tell(verb, name)
    except ClusterError as error:
        raise ClusterError(f"{error}\n{_what_stands(done, rest)}", error.code) from error
    except KeyboardInterrupt:
        raise ClusterError(f"stopped by Ctrl-C\n{_what_stands(done, rest)}") from None


def _what_stands(done: Sequence[str], rest: Sequence[str]) -> str:
    return (
        f"stopped half way. Done: {', '.join(done) or 'nothing'}. Not done, or not known: "
        f"{', '.join(rest)}. What is done stands; run the same command again, which goes on from "
        "here"
    )


def _acts(
    cluster: Cluster, made: Plan, force: bool
) -> Iterator[tuple[str, str, Callable[[], None]]]:
    for step in made.steps:
        yield step.change, step.name, partial(_apply, cluster, step, force)
    for resource, content in reversed(made.left):
        act = partial(cluster.delete, resource, content, "Background")
        yield "deleted", name_of(content), act


def _apply(cluster: Cluster, step: Step, force: bool) -> None:
    if step.resource is None:
        step.resource = _awaited(cluster, step.content)
    step.after = cluster.apply(step.resource, step.content, dry_run=False, force=force)


def _awaited(cluster: Cluster, content: dict[str, Any]) -> Resource:
    """A kind whose CRD was applied a moment ago."""
    end = time.monotonic() + _ESTABLISHED_SECONDS
    while True:
        try:
            return cluster.resource(content["apiVersion"], content["kind"])
        except NotServed:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _with_specs(cluster: Cluster, sources: Sources) -> list[Document]:
    """The objects, and the specs themselves where the cluster can store them."""
    if not sources.specs:
        return sources.documents
    if SPEC_KIND not in _defined(sources.documents) and not cluster.find(SPEC_VERSION, SPEC_KIND):
        return sources.documents
    return [*sources.documents, *map(_stored, sources.specs)]


def _stored(document: Document) -> Document:
    """A spec by the names and the types that its CRD has: those in a file may be looser."""
    from inferencegraph.spec.service import parsed

    spec, _ = parsed(document.content)
    assert spec is not None  # it was rendered
    metadata = dict(mapping(document.content.get("metadata")))
    fields = spec.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    content = {
        "apiVersion": SPEC_VERSION,
        "kind": SPEC_KIND,
        "metadata": metadata,
        "spec": fields,
    }
    return Document(document.path, labelled(content, spec.metadata.name, overrule=True))


def _defined(documents: Sequence[Document]) -> dict[str, str]:
    """The scope of each kind whose CRD is among the documents."""
    specs = [
        mapping(document.content.get("spec"))
        for document in documents
        if document.content.get("kind") == _DEFINITION
    ]
    return {str(mapping(spec.get("names")).get("kind")): str(spec.get("scope")) for spec in specs}


def _looked_up(
    cluster: Cluster, documents: Sequence[Document], defined: Mapping[str, str]
) -> list[Step]:
    """Each object with its kind on the cluster; kinds that are defined here are looked up later."""
    steps = []
    faults: dict[str, Step] = {}
    for document in documents:
        step = Step(document.content, document.path, None)
        steps.append(step)
        kind = document.content["kind"]
        try:
            step.resource = cluster.resource(document.content["apiVersion"], kind)
        except NotServed as error:
            if kind not in defined:
                faults.setdefault(str(error), step)
    if faults:
        told = [f"{step.file}: {step.name}: {text}" for text, step in faults.items()]
        raise ClusterError(_nothing_changed(told))
    return steps


def _is_bound(step: Step, defined: Mapping[str, str]) -> bool:
    """Whether it lives in a namespace."""
    if step.resource is None:
        return defined[step.content["kind"]] == "Namespaced"
    return step.resource.namespaced


def _placed(step: Step, default: str, chosen: str | None) -> dict[str, Any]:
    """In its namespace: its own, or else the command line's or the kubeconfig's."""
    metadata = mapping(step.content.get("metadata"))
    own = metadata.get("namespace")
    if own and chosen and own != chosen:
        raise ConfigurationError(
            f"{step.file}: {step.name} is of namespace {own!r}, but --namespace is {chosen!r}; "
            "leave one of them out"
        )
    return {**step.content, "metadata": {**metadata, "namespace": own or chosen or default}}


def _absent_namespaces(cluster: Cluster, steps: Sequence[Step]) -> list[str]:
    """Those that are made here. A dry run makes none, so nothing in them can be tried out."""
    return [
        name
        for step in steps
        if step.content["kind"] == "Namespace" and step.resource is not None
        for name in [str(step.content["metadata"]["name"])]
        if not cluster.exists(step.resource, None, name)
    ]


def _try_out(cluster: Cluster, steps: Sequence[Step], absent: Sequence[str], force: bool) -> None:
    """As a dry run. Raises ClusterError with all that is refused."""

    def try_one(step: Step) -> str | None:
        metadata = step.content["metadata"]
        namespace, resource = metadata.get("namespace"), step.resource
        if resource is None or namespace in absent:
            return None
        step.live = cluster.find_object(resource, namespace, metadata["name"])
        try:
            step.after = cluster.apply(resource, step.content, dry_run=True, force=force)
        except ClusterError as error:
            if error.code in _ABOUT_THE_OBJECT:
                return f"{step.file}: {error}"
            raise
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        faults = [fault for fault in threads.map(try_one, steps) if fault]
    if faults:
        raise ClusterError(_nothing_changed(list(dict.fromkeys(faults))))


def _find_left_over(cluster: Cluster, made: Plan) -> None:
    new = {_key(step.content) for step in made.steps}
    spaces = sorted({space for step in made.steps if (space := _space(step.content))})
    for owner in made.owners:
        for space in spaces:
            for resource, content in owned_objects(cluster, owner, space):
                if _key(content) in new or content["metadata"].get("deletionTimestamp"):
                    continue
                if content["kind"] in KEPT:
                    made.kept.append(content)
                else:
                    made.left.append((resource, content))


def _space(content: dict[str, Any]) -> Any:
    return content["metadata"].get("namespace")


def _key(content: dict[str, Any]) -> tuple[Any, ...]:
    group = str(content["apiVersion"]).rpartition("/")[0]
    return group, content["kind"], _space(content), content["metadata"]["name"]


def _nothing_changed(faults: list[str]) -> str:
    return "\n".join([*faults, "nothing was changed"])
