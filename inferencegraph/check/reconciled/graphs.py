"""InferenceGraphs: the router's Deployment with the graph on its command line."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    components,
    entry_container,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.reconciled.made import (
    HTTP_PORT,
    SERVICE_PORT,
    Made,
    autoscaler,
    deployment,
    namespace_of,
    service,
)

_IMAGE: Final = "kserve/router:latest"
_POD: Final = ("affinity", "nodeName", "nodeSelector", "serviceAccountName", "tolerations")
_RESOURCES: Final = {
    "limits": {"cpu": "1", "memory": "500Mi"},
    "requests": {"cpu": "100m", "memory": "100Mi"},
}
_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
}


def of_graph(
    content: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]
) -> Iterator[Made]:
    own, spec = mapping(content.get("metadata")), mapping(content.get("spec"))
    name = str(own.get("name"))
    metadata = {
        "name": name,
        "namespace": namespace_of(content),
        "labels": {
            **mapping(own.get("labels")),
            "app": f"isvc.{name}",
            "serving.kserve.io/inferencegraph": name,
        },
        "annotations": dict(mapping(own.get("annotations"))),
    }
    compiled = json.dumps(_resolved(spec, services, namespace_of(content)), default=str)
    container = {
        "name": name,
        "image": _IMAGE,
        "args": ["--graph-json", compiled],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": HTTP_PORT},
            "initialDelaySeconds": 5,
            "periodSeconds": 5,
            "timeoutSeconds": 2,
        },
        "resources": copy.deepcopy(mapping(spec.get("resources")) or _RESOURCES),
        "securityContext": copy.deepcopy(_SECURITY),
    }
    pod = {key: spec[key] for key in _POD if spec.get(key) is not None}
    pod |= {"automountServiceAccountToken": False, "containers": [container]}
    yield Made(deployment(metadata, pod), "spec", ("spec",))
    port = {"name": name, "port": SERVICE_PORT, "protocol": "TCP", "targetPort": HTTP_PORT}
    yield Made(service(metadata, [port]))
    yield Made(autoscaler(metadata, spec))


def _resolved(
    spec: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]], space: str
) -> dict[str, Any]:
    """The spec with a serviceUrl for each serviceName that is known."""
    made = copy.deepcopy(dict(spec))
    for node in mapping(made.get("nodes")).values():
        for step in sequence(mapping(node).get("steps")):
            called = str(mapping(step).get("serviceName"))
            if called in services and not step.get("serviceUrl"):
                step["serviceUrl"] = infer_url(services[called], space)
    return made


def infer_url(content: Mapping[str, Any], space: str) -> str:
    """Where a graph's step posts for an InferenceService."""
    name = str(mapping(content.get("metadata")).get("name"))
    role = "transformer" if "transformer" in dict(components(content)) else "predictor"
    entry = entry_container(content)
    is_v2 = entry is not None and environment(entry[1], "PROTOCOL") == "v2"
    model = mapping(mapping(mapping(content.get("spec")).get("predictor")).get("model"))
    is_v2 = is_v2 or model.get("protocolVersion") == "v2"
    path = f"v2/models/{name}/infer" if is_v2 else f"v1/models/{name}:predict"
    return f"http://{name}-{role}.{space}.svc.cluster.local/{path}"
