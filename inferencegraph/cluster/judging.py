"""What the API server says of objects, as findings: `hem validate --server`.

Each goes there as a dry run, so that its schemas, webhooks, quotas and permissions judge it, and
so do the Deployments, Services and autoscalers that KServe would make of it. Nothing is changed.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Finding, Problem, error, note
from inferencegraph.check.rules import SERVER, SERVER_PODS
from inferencegraph.check.validate import problem
from inferencegraph.cluster.api import AT_ONCE, Cluster
from inferencegraph.cluster.failures import ABOUT_THE_OBJECT, ClusterError
from inferencegraph.cluster.foreseen import refusals
from inferencegraph.cluster.steps import (
    Step,
    absent_namespaces,
    defined_kinds,
    is_bound,
    looked_up,
    placed,
)
from inferencegraph.read.documents import Document

_ALL: Final = "the object"  # where no field is named


def judged(
    cluster: Cluster, documents: Sequence[Document], namespace: str | None = None
) -> list[Problem]:
    """In the order of the documents; what holds for several is told of the first one.

    namespace: of objects that name none. Raises ClusterError where the API server can't be asked at
    all, ConfigurationError where an object is of another namespace than the chosen one.
    """
    named = [each for each in documents if _is_named(each)]
    defined = defined_kinds(named)
    steps, unserved = looked_up(cluster, named, defined)
    problems = [_of(step, error("apiVersion", text), SERVER) for text, step in unserved.items()]
    for step in steps:
        if is_bound(step, defined):
            step.content = placed(step, cluster.namespace, namespace)
    absent = absent_namespaces(cluster, steps)
    there = [step for step in steps if step.resource and step.namespace not in absent]
    said: set[str] = set()  # what holds for several objects
    problems += _not_there_yet(steps, there)
    problems += _tried(cluster, there, said)
    return problems + _foreseen(cluster, there, said)


def not_told_yet(found: Sequence[Problem], told: Sequence[Problem]) -> list[Problem]:
    """Those at whose field no error is told yet."""
    places = {(each.object, each.field) for each in told if each.severity == "error"}
    return [each for each in found if (each.object, each.field) not in places]


def _is_named(document: Document) -> bool:
    """What has no name can't be sent; other rules say so."""
    metadata = document.content.get("metadata")
    name, space = (mapping(metadata).get(field) for field in ("name", "namespace"))
    return isinstance(name, str) and bool(name) and isinstance(space, str | None)


def _not_there_yet(steps: Sequence[Step], there: Sequence[Step]) -> Iterator[Problem]:
    """Of what can be asked only when other objects of the same files are there."""
    left = [step for step in steps if step not in there]
    if left:
        names = ", ".join(step.label for step in left[:3])
        more = f" and {len(left) - 3} others" if len(left) > 3 else ""
        yield _of(
            left[0],
            note(_ALL, f"not asked, as kind or namespace are only made here: {names}{more}"),
            SERVER,
        )


def _tried(cluster: Cluster, steps: Sequence[Step], said: set[str]) -> Iterator[Problem]:
    def ask(step: Step) -> ClusterError | None:
        assert step.resource is not None
        try:
            # Who else has set a field says nothing of whether it is right.
            cluster.apply(step.resource, step.content, dry_run=True, force=True)
        except ClusterError as refusal:
            if refusal.code not in ABOUT_THE_OBJECT:
                raise
            return refusal
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for step, refusal in zip(steps, threads.map(ask, steps), strict=True):
            if refusal and refusal.common not in said:
                yield from (_of(step, each, SERVER) for each in _findings(refusal))
            if refusal and refusal.common:
                said.add(refusal.common)


def _findings(refusal: ClusterError) -> Iterator[Finding]:
    if refusal.is_permission:
        yield note(_ALL, f"not asked of the API server: {refusal}")
    elif not refusal.causes:
        field = "metadata.namespace" if refusal.code == 404 else _ALL
        yield error(field, str(refusal))
    for cause in refusal.causes:
        yield error(cause.field, cause.message)


def _foreseen(cluster: Cluster, steps: Sequence[Step], said: set[str]) -> list[Problem]:
    refused, notes = refusals(cluster, [step.content for step in steps])
    found = [
        _of(steps[each.index], finding, SERVER_PODS)
        for each in refused
        if each.error.common not in said
        for finding in each.findings()
    ]
    return found + [_of(steps[0], note(_ALL, text), SERVER_PODS) for text in notes]


def _of(step: Step, finding: Finding, rule: str) -> Problem:
    return problem(replace(finding, rule=rule), step.label, step.source)
