"""A PodMonitor, by which the Prometheus operator finds the metrics of all pods of a spec.

One for all sites, where ServiceMonitors would want a label that a graph's Service hasn't: pods say
by an annotation at which port their metrics are, and Triton's is a port of no Service.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.build.pods import (
    COMPONENT_LABEL,
    HTTP_PORT,
    INSTANCE_LABEL,
    METRICS_PORT,
    OWNER_LABEL,
    labels,
)

PATH: Final = "/metrics"
MODEL_PORT: Final = "model-http"  # of a model behind a sidecar
# In place of the port by which the pod is found, the one of its annotation.
_AT_ITS_PORT: Final = {
    "sourceLabels": ["__address__", "__meta_kubernetes_pod_annotation_prometheus_io_port"],
    "regex": r"(.+):\d+;(\d+)",
    "targetLabel": "__address__",
    "replacement": "$1:$2",
}


@dataclass(frozen=True, slots=True)
class Monitoring:
    """`labels`: by which a Prometheus chooses its PodMonitors. `interval`: None is its own."""

    labels: Mapping[str, str] = field(default_factory=dict)
    interval: str | None = None


def pod_monitor(
    monitoring: Monitoring, objects: Sequence[Mapping[str, Any]], name: str
) -> dict[str, Any]:
    """Of the pods that KServe makes of the objects of spec `name`."""
    ports = {port for component in _components(objects) for port in metrics_ports(component)}
    behind = any(_port_behind(component) for component in _components(objects))
    moved = {"relabelings": [dict(_AT_ITS_PORT)]} if ports - {HTTP_PORT} else {}
    every = {"interval": monitoring.interval} if monitoring.interval else {}
    endpoints = [{"port": "http", "path": PATH, **every, **moved}]
    endpoints += [{"port": MODEL_PORT, "path": PATH, **every}] if behind else []
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {
            "name": name,
            "labels": {**monitoring.labels, **labels(name, "monitoring", name)},
        },
        "spec": {
            "selector": {"matchLabels": {OWNER_LABEL: name}},
            "podTargetLabels": [INSTANCE_LABEL, COMPONENT_LABEL],
            "podMetricsEndpoints": endpoints,
        },
    }


def metrics_ports(component: Mapping[str, Any]) -> tuple[int, ...]:
    """Of a component's pods: the annotation's, and that of a model behind a sidecar."""
    behind = _port_behind(component)
    return (int(component["annotations"][METRICS_PORT]), *([behind] if behind else []))


def _port_behind(component: Mapping[str, Any]) -> int | None:
    ports = (port for each in component.get("containers", ()) for port in each.get("ports", ()))
    return next((port["containerPort"] for port in ports if port["name"] == MODEL_PORT), None)


def _components(objects: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for content in objects:
        if content["kind"] == "InferenceService":
            yield from content["spec"].values()
