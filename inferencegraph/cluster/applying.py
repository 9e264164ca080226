"""Server-side apply of all objects: first as a dry run, then for good, then what is left over goes.

Kubernetes has no transactions, so what can be refused is refused before the first change, and a
failure after it says what stands.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.validate import problem
from inferencegraph.cluster import order
from inferencegraph.cluster.api import AT_ONCE, OWN_GROUP, Cluster, Resource
from inferencegraph.cluster.failures import ABOUT_THE_OBJECT, ClusterError, NotServed
from inferencegraph.cluster.foreseen import refusals
from inferencegraph.cluster.owners import (
    KEPT,
    labelled,
    owned_objects,
    the_owners,
)
from inferencegraph.cluster.references import missing
from inferencegraph.cluster.sources import Sources
from inferencegraph.cluster.steps import (
    Step,
    absent_namespaces,
    defined_kinds,
    is_bound,
    looked_up,
    name_of,
    namespace_of,
    placed,
)
from inferencegraph.read.documents import Document
from inferencegraph.spec.kinds import KIND as SPEC_KIND

SPEC_VERSION: Final = f"{OWN_GROUP}/v1alpha1"
_ESTABLISHED_SECONDS: Final = 30  # that a new CRD may take to be served


@dataclass(slots=True)
class Plan:
    """All that will be done. `left`: objects of the same owners that go; `kept`: claims that are
    left over, and stay."""

    owners: list[str]
    steps: list[Step]
    left: list[tuple[Resource, dict[str, Any]]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    defined = defined_kinds(documents)
    steps, unserved = looked_up(cluster, documents, defined)
    if unserved:
        told = [f"{step.file}: {step.name}: {text}" for text, step in unserved.items()]
        raise ClusterError(_nothing_changed(told))
    bound = [step for step in steps if is_bound(step, defined)]
    owners = the_owners([Document(each.file, each.content) for each in bound], owner)
    for step in bound:
        content = placed(step, cluster.namespace, namespace)
        step.content = labelled(content, owners[0], overrule=owner is not None)
    made = Plan(owners, sorted(steps, key=lambda step: order.place(step.content)))
    absent = absent_namespaces(cluster, made.steps)
    _try_out(cluster, made.steps, absent, force)
    there = [step for step in made.steps if step.namespace not in absent]
    made.notes += _foresee(cluster, there)
    made.notes += missing(cluster, [step.content for step in there])
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


def _foresee(cluster: Cluster, steps: Sequence[Step]) -> list[str]:
    """Notes on what could not be asked. Raises ClusterError with what would be refused of that
    which KServe would make."""
    refused, notes = refusals(cluster, [step.content for step in steps])
    if refused:
        told = [
            str(problem(finding, steps[each.index].label, steps[each.index].source))
            for each in refused
            for finding in each.findings()
        ]
        raise ClusterError(_nothing_changed(told))
    return notes


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
    if SPEC_KIND not in defined_kinds(sources.documents) and not cluster.find(
        SPEC_VERSION, SPEC_KIND
    ):
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


def _try_out(cluster: Cluster, steps: Sequence[Step], absent: Sequence[str], force: bool) -> None:
    """As a dry run. Raises ClusterError with all that is refused."""

    def try_one(step: Step) -> ClusterError | None:
        metadata, resource = step.content["metadata"], step.resource
        if resource is None or step.namespace in absent:
            return None
        step.live = cluster.find_object(resource, step.namespace, metadata["name"])
        try:
            step.after = cluster.apply(resource, step.content, dry_run=True, force=force)
        except ClusterError as error:
            if error.code in ABOUT_THE_OBJECT:
                return error
            raise
        return None

    faults: dict[str, str] = {}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for step, error in zip(steps, threads.map(try_one, steps), strict=True):
            if error:
                faults.setdefault(error.common or str(error), f"{step.file}: {error}")
    if faults:
        raise ClusterError(_nothing_changed(list(faults.values())))


def _find_left_over(cluster: Cluster, made: Plan) -> None:
    new = {_key(step.content) for step in made.steps}
    spaces = sorted({space for step in made.steps if (space := step.namespace)})
    for owner in made.owners:
        for space in spaces:
            for resource, content in owned_objects(cluster, owner, space):
                if _key(content) in new or content["metadata"].get("deletionTimestamp"):
                    continue
                if content["kind"] in KEPT:
                    made.kept.append(content)
                else:
                    made.left.append((resource, content))


def _key(content: dict[str, Any]) -> tuple[Any, ...]:
    group = str(content["apiVersion"]).rpartition("/")[0]
    return group, content["kind"], namespace_of(content), content["metadata"]["name"]


def _nothing_changed(faults: list[str]) -> str:
    return "\n".join([*faults, "nothing was changed"])
