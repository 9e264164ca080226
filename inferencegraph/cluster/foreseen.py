"""What KServe would make of the objects, asked of the API server before anything is changed.

KServe takes an InferenceService in silence and fails only when it makes the Deployment of it, so a
wrong probe or volume shows nowhere before. Here the API server gets that Deployment as a dry run.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.cluster.api import AT_ONCE, KSERVE_GROUP, Cluster
from inferencegraph.cluster.failures import ClusterError, Conflict

# Others, as the Ingress, depend on how KServe is configured there.
ASKED: Final = ("Deployment", "Service")
_RUNTIME: Final = "ServingRuntime"


def core_objects(contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The Deployments and Services that KServe would make, each in its namespace."""
    by_namespace: dict[Any, list[Mapping[str, Any]]] = {}
    for content in contents:
        namespace = mapping(content.get("metadata")).get("namespace")
        by_namespace.setdefault(namespace, []).append(content)
    shared = by_namespace.pop(None, [])  # what has no namespace, such as ClusterServingRuntimes
    made = [each for inside in by_namespace.values() for each in reconciled([*shared, *inside])]
    return [each for each in made if each["kind"] in ASKED]


def refusals(
    cluster: Cluster, contents: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[str]]:
    """Errors, and notes about what could not be asked."""

    def ask(content: dict[str, Any]) -> ClusterError | None:
        resource = cluster.resource(content["apiVersion"], content["kind"])
        try:
            cluster.try_make(resource, content)
        except Conflict:
            return None  # it was changed in between
        except ClusterError as error:
            if error.code is None:
                raise
            return error
        return None

    made = core_objects([*_runtimes(cluster, contents), *contents])
    errors, notes = [], []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for content, error in zip(made, threads.map(ask, made), strict=True):
            kind, name = content["kind"], content["metadata"]["name"]
            if error is None:
                continue
            if error.code == 403 and str(error).startswith("no permission"):
                notes.append(f"not tried out what KServe would make ({kind}s): {error}")
            else:
                errors.append(f"KServe would make {kind} {name!r}, which is refused: {error}")
    return errors, notes[:1]


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
