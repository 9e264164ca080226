"""Whose an object is: the label by which it is pruned, deleted and found again."""

import copy
from collections.abc import Sequence
from typing import Any, Final

from inferencegraph.build.pods import OWNER_LABEL
from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.syntax import LABEL_VALUE
from inferencegraph.cluster.api import Cluster, Resource
from inferencegraph.read.documents import Document
from predictors.errors import ConfigurationError

# What is rendered from a spec or shipped, so what may be left over from an earlier one. Kinds that
# a cluster doesn't have are passed over.
OWNED_KINDS: Final = (
    ("kserve-hem.io/v1alpha1", "LLMJointInferenceService"),
    ("v1", "ServiceAccount"),
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Service"),
    ("serving.kserve.io/v1alpha1", "ServingRuntime"),
    ("serving.kserve.io/v1alpha2", "LLMInferenceService"),
    ("serving.kserve.io/v1beta1", "InferenceService"),
    ("serving.kserve.io/v1alpha1", "InferenceGraph"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("networking.k8s.io/v1", "Ingress"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
)
# Data: never pruned, as what is left out of a file by mistake could not be brought back.
KEPT: Final = ("PersistentVolumeClaim",)


def owner_of(content: Any) -> str | None:
    value = mapping(mapping(mapping(content).get("metadata")).get("labels")).get(OWNER_LABEL)
    return str(value) if value else None


def the_owners(documents: Sequence[Document], chosen: str | None) -> list[str]:
    """All owners of the objects in files, sorted.

    chosen: the owner of all. Without it, of objects with no label it is the only owner that others
    have, or the only graph's name. Raises ConfigurationError where that can't be told.
    """
    if chosen is not None:
        if fault := LABEL_VALUE.fault(chosen) if chosen else "is empty":
            raise ConfigurationError(f"the owner {fault}")
        return [chosen]
    owners = {owner for document in documents if (owner := owner_of(document.content))}
    bare = [document for document in documents if owner_of(document.content) is None]
    graphs = [_name(each) for each in bare if each.content.get("kind") == "InferenceGraph"]
    if not owners and len(graphs) == 1:
        return graphs
    if bare and len(owners) != 1:
        first = bare[0]
        candidates = sorted(owners) or graphs
        among = f" ({', '.join(candidates)}?)" if candidates else ""
        raise ConfigurationError(
            f"{first.path}: can't tell whose {first.content.get('kind')} {_name(first)!r} is"
            f"{among}: name it with --owner NAME, or give it the label {OWNER_LABEL}"
        )
    return sorted(owners)


def labelled(content: dict[str, Any], owner: str, *, overrule: bool) -> dict[str, Any]:
    """A copy with the label; one that is there stays, unless it is overruled."""
    made = copy.deepcopy(content)
    labels = made.setdefault("metadata", {}).setdefault("labels", {})
    if overrule or not labels.get(OWNER_LABEL):
        labels[OWNER_LABEL] = owner
    return made


def owned_objects(
    cluster: Cluster, owner: str, namespace: str
) -> list[tuple[Resource, dict[str, Any]]]:
    """All objects of an owner, in the order in which they are made, without those that a
    controller made of them."""
    found = []
    for api_version, kind in OWNED_KINDS:
        if resource := cluster.find(api_version, kind):
            objects, _ = cluster.items(resource, namespace, f"{OWNER_LABEL}={owner}")
            found += [(resource, each) for each in objects if not _made_by_another(each)]
    return found


def _made_by_another(content: dict[str, Any]) -> bool:
    references = content["metadata"].get("ownerReferences") or []
    return any(reference.get("controller") for reference in references)


def _name(document: Document) -> str:
    return str(mapping(document.content.get("metadata")).get("name"))
