"""An object that KServe makes, and what all of them have in common."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.check.containers import mapping

HTTP_PORT: Final = 8080
SERVICE_PORT: Final = 80
# kubectl's copy of what was applied, which KServe carries on.
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_PULL: Final = "IfNotPresent"  # KServe's own default, also for :latest
NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Made:
    """`pod_field`: where the pod's fields stand in the user's object; `places`: where each of its
    containers does; `brought`: volumes that KServe adds itself."""

    content: dict[str, Any]
    pod_field: str = "spec"
    places: tuple[str, ...] = ()
    brought: tuple[str, ...] = field(default=("modelconfig", "kserve-provision-location"))

    @property
    def pod(self) -> dict[str, Any]:
        """The pod's spec; empty for what has none."""
        return dict(mapping(mapping(mapping(self.content.get("spec")).get("template")).get("spec")))


def namespace_of(content: Mapping[str, Any]) -> str:
    return str(mapping(content.get("metadata")).get("namespace") or NAMESPACE)


def own_annotations(content: Mapping[str, Any]) -> dict[str, str]:
    annotations = mapping(mapping(content.get("metadata")).get("annotations"))
    return {str(name): value for name, value in annotations.items() if name != LAST_APPLIED}


def deployment(
    metadata: Mapping[str, Any], pod: Mapping[str, Any], strategy: Any = None
) -> dict[str, Any]:
    """`metadata` has name, namespace, labels and annotations; its pods have the label app."""
    pod = {**pod, "containers": [{"imagePullPolicy": _PULL, **c} for c in pod["containers"]]}
    spec: dict[str, Any] = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": metadata["labels"]["app"]}},
        "template": {"metadata": copy.deepcopy(dict(metadata)), "spec": pod},
    }
    if strategy is not None:
        spec["strategy"] = strategy
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": copy.deepcopy(dict(metadata)),
        "spec": spec,
    }


def service(metadata: Mapping[str, Any], ports: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": copy.deepcopy(dict(metadata)),
        "spec": {"ports": ports, "selector": {"app": metadata["labels"]["app"]}},
    }


def autoscaler(metadata: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """By `minReplicas`, `maxReplicas`, `scaleMetric` and `scaleTarget` of a component or graph."""
    least = part.get("minReplicas") if part.get("minReplicas") is not None else 1
    most = part.get("maxReplicas") or 0
    if isinstance(least, int) and isinstance(most, int) and most < least:
        most = least
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": copy.deepcopy(dict(metadata)),
        "spec": {
            "minReplicas": least or 1,
            "maxReplicas": most or 1,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": part.get("scaleMetric") or "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": part.get("scaleTarget") or 80,
                        },
                    },
                }
            ],
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": metadata["name"],
            },
        },
    }
