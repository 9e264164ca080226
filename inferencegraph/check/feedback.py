"""A store of feedback in a file is written by one process: several replicas need PostgreSQL. A file
in a folder of a node stays there when the pod moves."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from inferencegraph.check.containers import (
    components,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Finding, Others, error, warning

VARIABLE: Final = "HEM_FEEDBACK_STORE"
_PUSH: Final = "HEM_FEEDBACK_PUSH"
_HOST: Final = "kubernetes.io/hostname"
_SERVERS: Final = ("postgresql", "postgres", "postgresql+psycopg")


def check_feedback(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """Of each component whose HEM keeps feedback in a file."""
    for role, component in components(service):
        most = max((_count(component, n) for n in ("minReplicas", "maxReplicas")), default=1)
        for index, container in enumerate(containers(component)):
            store = environment(container, VARIABLE)
            if not store or store.partition("://")[0] in _SERVERS:
                continue
            field = f"spec.{role}.containers[{index}].env"
            if most > 1:
                yield error(
                    field,
                    f"{VARIABLE} is a file, which one replica alone may write, and there may be "
                    f"{most}: set it to PostgreSQL's URL, or have one replica",
                )
            elif _moves(component, container, store):
                yield warning(
                    field,
                    f"{VARIABLE} is a file on whichever node the pod runs (hostPath), and another "
                    f"node begins without it: choose one node (nodeSelector {_HOST}, or a "
                    "required node affinity; a spec: edgeWorker.nodes, where labels have to be of "
                    "one node alone), take a claim or PostgreSQL, or send it on by "
                    f"{_PUSH}",
                )


def is_bound(pod: Mapping[str, Any]) -> bool:
    """Whether it says on which node it runs. A required node affinity is taken at its word, that
    one node alone fits it."""
    affinity = mapping(mapping(pod.get("affinity")).get("nodeAffinity"))
    named = pod.get("nodeName") or affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return bool(named) or _HOST in mapping(pod.get("nodeSelector"))


def _moves(component: Mapping[str, Any], container: Mapping[str, Any], file: str) -> bool:
    """Whether the pod may come to a node without the file, and it is not sent on."""
    if is_bound(component) or environment(container, _PUSH):
        return False
    folders = {
        mapping(each).get("name")
        for each in sequence(component.get("volumes"))
        if "hostPath" in mapping(each)
    }
    mounts = (mapping(each) for each in sequence(container.get("volumeMounts")))
    paths = [str(each.get("mountPath")) for each in mounts if each.get("name") in folders]
    return any(PurePosixPath(file).is_relative_to(path) for path in paths)


def _count(component: Mapping[str, Any], name: str) -> int:
    value = component.get(name)
    return value if isinstance(value, int) else 0
