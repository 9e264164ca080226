"""What KServe would make of the objects, asked of the API server before anything is changed.

KServe takes an InferenceService in silence and fails only when it makes the Deployment of it, so a
wrong probe or volume shows nowhere before. Here the API server gets that Deployment as a dry run.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.problem import Finding, error
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.site import Made, made_of
from inferencegraph.check.refused import makes_deployments
from inferencegraph.cluster.api import AT_ONCE, KSERVE_GROUP, Cluster
from inferencegraph.cluster.failures import ABOUT_THE_OBJECT, CHANGED, ClusterError

# Others, as the Ingress, depend on how KServe is configured there.
ASKED: Final = ("Deployment", "Service", "HorizontalPodAutoscaler")
_RUNTIME: Final = "ServingRuntime"


@dataclass(frozen=True, slots=True)
class Refused:
    """One object that KServe would make, and why it can't. `index`: of the user's object among
    those that were given."""

    made: Made
    index: int
    error: ClusterError

    def findings(self) -> Iterator[Finding]:
        """At the fields of the user's object."""
        if not self.error.causes:
            yield error("spec", f"{self._intro}: {self.error}")
        for cause in self.error.causes:
            finding = self.made.told(error(cause.field, cause.message))
            yield replace(finding, message=f"{self._intro}: {finding.message}")

    @property
    def _intro(self) -> str:
        content = self.made.content
        name = content["metadata"]["name"]
        return f"KServe would make {content['kind']} {name!r}, which is refused"


def core_objects(contents: Sequence[Mapping[str, Any]]) -> list[Made]:
    """The Deployments, Services and autoscalers that KServe would make, each in its namespace."""
    by_namespace: dict[Any, list[Mapping[str, Any]]] = {}
    for content in filter(makes_deployments, contents):
        namespace = mapping(content.get("metadata")).get("namespace")
        by_namespace.setdefault(namespace, []).append(content)
    shared = by_namespace.pop(None, [])  # what has no namespace, such as ClusterServingRuntimes
    made = [
        each
        for inside in by_namespace.values()
        for each in made_of([*shared, *inside], Installation())
    ]
    return [each for each in made if each.content["kind"] in ASKED]


def refusals(
    cluster: Cluster, contents: Sequence[Mapping[str, Any]]
) -> tuple[list[Refused], list[str]]:
    """What is refused, and at most one note about what could not be asked.

    Raises ClusterError where the API server itself fails.
    """

    def ask(made: Made) -> ClusterError | None:
        try:
            resource = cluster.resource(made.content["apiVersion"], made.content["kind"])
            cluster.try_make(resource, made.content)
        except ClusterError as error:
            if error.code == CHANGED:  # in between, by KServe
                return None
            if error.code not in ABOUT_THE_OBJECT:
                raise
            return error
        return None

    places = {id(content): index for index, content in enumerate(contents)}
    made = core_objects([*_runtimes(cluster, contents), *contents])
    refused: dict[object, Refused] = {}
    notes = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for each, error in zip(made, threads.map(ask, made), strict=True):
            if error is None:
                continue
            if error.is_permission:
                kind = each.content["kind"]
                notes.append(f"not tried out what KServe would make ({kind}s): {error}")
            else:
                key = error.common or len(refused)
                refused.setdefault(key, Refused(each, places[id(each.of)], error))
    return list(refused.values()), notes[:1]


def _runtimes(cluster: Cluster, contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Those that the cluster has and that a service's `model` may be served by."""
    spaces = {
        mapping(each.get("metadata")).get("namespace")
        for each in contents
        if mapping(mapping(each.get("spec")).get("predictor")).get("model") is not None
    }
    found: list[dict[str, Any]] = []
    for kind, places in (("ClusterServingRuntime", [None] if spaces else []), (_RUNTIME, spaces)):
        if places and (resource := cluster.find(f"{KSERVE_GROUP}/v1alpha1", kind)):
            for place in places:
                try:
                    found += cluster.items(resource, place)[0]
                except ClusterError as error:
                    if error.code != 403:
                        raise
    return found
