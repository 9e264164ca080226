"""An InferenceGraph -> the component that routes."""

import json
from collections.abc import Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    argument,
    containers,
    entry_container,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Objects
from inferencegraph.check.reconciled.component import Component, Source
from inferencegraph.check.reconciled.installation import ROUTER_RESOURCES, Installation
from inferencegraph.check.reconciled.metadata import name_of, predictor_name, transformer_name
from inferencegraph.check.reconciled.runtimes import wanted

Part = Mapping[str, Any]

# Fields of a graph's spec that are its router's pod's.
_OF_PODS: Final = ("affinity", "tolerations", "nodeSelector", "nodeName", "serviceAccountName")
_PATHS: Final = {"v1": "/v1/models/{}:predict", "v2": "/v2/models/{}/infer"}
_PROBE: Final = {
    "httpGet": {"path": "/readyz", "port": 8080},
    "initialDelaySeconds": 5,
    "periodSeconds": 5,
    "successThreshold": 1,
    "failureThreshold": 3,
    "timeoutSeconds": 2,
}
_SECURITY: Final = {
    "privileged": False,
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


def router_of(
    graph: Part, services: Objects, runtimes: Objects, installation: Installation
) -> Component:
    spec, metadata = mapping(graph.get("spec")), mapping(graph.get("metadata"))
    resolved = _resolved(spec, services, runtimes, installation)
    container = {
        "name": name_of(graph),
        "image": installation.router_image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--graph-json", json.dumps(resolved, default=str)],
        "resources": spec.get("resources") or ROUTER_RESOURCES,
        "readinessProbe": _PROBE,
        "securityContext": _SECURITY,
    }
    return Component(
        "graph",
        name_of(graph),
        Source("spec", spec),
        {
            **{name: spec[name] for name in _OF_PODS if spec.get(name)},
            "automountServiceAccountToken": False,
            "containers": [container],
        },
        (Source("spec", spec),),
        {
            **mapping(metadata.get("labels")),
            "serving.kserve.io/inferencegraph": name_of(graph),
        },
        mapping(metadata.get("annotations")),
        spec,
    )


def _resolved(
    spec: Part, services: Objects, runtimes: Objects, installation: Installation
) -> dict[str, Any]:
    """The spec with the URL of every service that is here."""
    nodes = {}
    for name, node in mapping(spec.get("nodes")).items():
        steps = []
        for step in sequence(mapping(node).get("steps")):
            service = services.get(str(mapping(step).get("serviceName")))
            if service is not None and not step.get("serviceUrl"):
                step = {**step, "serviceUrl": _url(service, runtimes, installation)}
            steps.append(step)
        nodes[name] = {**mapping(node), "steps": steps}
    return {**spec, "nodes": nodes}


def _url(service: Part, runtimes: Objects, installation: Installation) -> str:
    spec = mapping(service.get("spec"))
    name = transformer_name(service) if spec.get("transformer") else predictor_name(service)
    path = _PATHS.get(_protocol(service, runtimes), "").format(_model_name(service))
    return f"http://{name}.{installation.namespace_of(service)}.svc.cluster.local{path}"


def _protocol(service: Part, runtimes: Objects) -> str:
    entry = entry_container(service)
    if entry is not None:
        return environment(entry[1], "PROTOCOL") or "v1"
    model = wanted(mapping(mapping(service.get("spec")).get("predictor")))
    if model is None:
        return "v1"
    runtime = mapping(mapping(runtimes.get(model.named or "")).get("spec"))
    spoken = [name for name in sequence(runtime.get("protocolVersions")) if name in _PATHS]
    return str(spoken[0]) if spoken else str(model.spec.get("protocolVersion") or "v1")


def _model_name(service: Part) -> str:
    spec = mapping(service.get("spec"))
    transformer, predictor = mapping(spec.get("transformer")), mapping(spec.get("predictor"))
    served = [*containers(transformer)[:1]]
    if isinstance(model := predictor.get("model"), dict):
        if named := environment(model, "MLSERVER_MODEL_NAME"):
            return named
        served.append(model)
    else:
        served += containers(predictor)[:1]
    names = (argument({"args": part.get("args")}, "--model_name") for part in served)
    return next(filter(None, names), name_of(service))
