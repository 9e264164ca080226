"""InferenceServices: a Deployment, a Service and an autoscaler for each component; an Ingress."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    PREDICTOR_CONTAINER,
    argument,
    components,
    containers,
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
    own_annotations,
    service,
)
from inferencegraph.check.reconciled.runtimes import Merged, merged, runtime_for

AUTOSCALER: Final = "serving.kserve.io/autoscalerClass"
# Of a component, beside a pod's own fields.
EXTENSIONS: Final = frozenset(
    (
        *("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType"),
        *("autoScaling", "containerConcurrency", "timeout", "canaryTrafficPercent", "logger"),
        *("batcher", "labels", "annotations", "deploymentStrategy", "storageUris"),
        *("model", "workerSpec", "name", "storageContainerName"),
    )
)
# What KServe asks for where nothing is said (its ConfigMap inferenceservice-config).
_RESOURCES: Final = {"cpu": "1", "memory": "2Gi"}
_HOSTS: Final = "example.com"
_H2C: Final = "kubernetes.io/h2c"
_SIZES: Final = ("pipelineParallelSize", "tensorParallelSize")


def of_service(
    content: Mapping[str, Any], runtimes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Made]:
    name = str(mapping(content.get("metadata")).get("name"))
    roles = [role for role, _ in components(content) if role != "explainer"]
    for role, component in components(content):
        if role in roles:
            yield from _component(content, name, role, component, runtimes)
    if roles and not mapping(mapping(content.get("spec")).get("predictor")).get("workerSpec"):
        yield Made(_ingress(content, name, roles))


def _component(
    content: Mapping[str, Any],
    name: str,
    role: str,
    component: Mapping[str, Any],
    runtimes: Mapping[str, Mapping[str, Any]],
) -> Iterator[Made]:
    field = f"spec.{role}"
    model = component.get("model") if role == "predictor" else None
    if isinstance(model, dict):
        runtime = runtime_for(model, runtimes)
        if runtime is None:
            return
        made = merged(name, component, runtime)
        places: tuple[str, ...] = (f"{field}.model",)
    else:
        inside = copy.deepcopy([dict(each) for each in containers(component)])
        if len(inside) == 1 or (inside and not inside[0].get("name")):
            inside[0]["name"] = PREDICTOR_CONTAINER
        made = Merged({"containers": inside}, {}, {})
        places = tuple(f"{field}.containers[{index}]" for index in range(len(inside)))
    pod = {**made.pod, **{k: v for k, v in component.items() if k not in EXTENSIONS}}
    pod["containers"] = made.pod["containers"]
    _fill(pod["containers"], content, name, role, component)
    metadata = _metadata(content, name, role, component, made)
    yield Made(deployment(metadata, pod, component.get("deploymentStrategy")), field, places)
    yield Made(service(metadata, _ports(pod["containers"], metadata["name"])))
    if isinstance(component.get("workerSpec"), dict):
        yield from _headless(metadata, name)
    elif own_annotations(content).get(AUTOSCALER) in (None, "hpa"):
        yield Made(autoscaler(metadata, component))


def _metadata(
    content: Mapping[str, Any],
    name: str,
    role: str,
    component: Mapping[str, Any],
    made: Merged,
) -> dict[str, Any]:
    labels = mapping(mapping(content.get("metadata")).get("labels"))
    whole = f"{name}-{role}"
    generation = {"isvc.generation": "1"} if component.get("workerSpec") else {}
    return {
        "name": whole,
        "namespace": namespace_of(content),
        "labels": {
            **made.labels,
            **labels,
            **mapping(component.get("labels")),
            **generation,
            "app": f"isvc.{whole}",
            "component": role,
            "serving.kserve.io/inferenceservice": name,
        },
        "annotations": {
            **made.annotations,
            **own_annotations(content),
            **mapping(component.get("annotations")),
        },
    }


def _fill(
    inside: list[dict[str, Any]],
    content: Mapping[str, Any],
    name: str,
    role: str,
    component: Mapping[str, Any],
) -> None:
    """What KServe adds to the first container."""
    if not inside:
        return
    first = inside[0]
    resources = {**mapping(first.get("resources"))}
    for part in ("limits", "requests"):
        resources[part] = {**_RESOURCES, **mapping(resources.get(part))}
    first["resources"] = resources
    environment = [{"name": "INFERENCE_SERVICE_NAME", "value": name}]
    if isinstance(component.get("workerSpec"), dict):
        environment += _of_several_nodes(first, name, mapping(component["workerSpec"]))
    given = sequence(first.get("env"))
    taken = {str(mapping(entry).get("name")) for entry in given}
    first["env"] = [*given, *(entry for entry in environment if entry["name"] not in taken)]
    if role == "transformer":
        first["args"] = [*sequence(first.get("args")), *_of_a_transformer(first, content, name)]
    if first.get("readinessProbe") is None:
        first["readinessProbe"] = {"tcpSocket": {"port": HTTP_PORT}}


def _of_a_transformer(
    container: Mapping[str, Any], content: Mapping[str, Any], name: str
) -> Iterator[str]:
    added = {
        "--model_name": name,
        "--predictor_host": f"{name}-predictor.{namespace_of(content)}",
        "--http_port": str(HTTP_PORT),
    }
    for option, value in added.items():
        if argument(container, option) is None:
            yield from (option, value)


def _of_several_nodes(
    container: Mapping[str, Any], name: str, workers: Mapping[str, Any]
) -> list[dict[str, str]]:
    pipeline, tensor = (workers.get(size) or 1 for size in _SIZES)
    limits = mapping(mapping(container.get("resources")).get("limits"))
    accelerators = [str(count) for kind, count in limits.items() if "/" in str(kind)]
    values = {
        "PIPELINE_PARALLEL_SIZE": str(pipeline),
        "TENSOR_PARALLEL_SIZE": str(tensor),
        "RAY_NODE_COUNT": str(pipeline),
        "REQUEST_GPU_COUNT": accelerators[0] if accelerators else "1",
        "MODEL_NAME": name,
        "MODEL_DIR": "/mnt/models",
    }
    return [{"name": variable, "value": value} for variable, value in values.items()]


def _ports(inside: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    declared = [mapping(port) for port in sequence(inside[0].get("ports"))] if inside else []
    if not declared:
        declared = [{"containerPort": HTTP_PORT, "name": name}]
    ports = []
    for index, port in enumerate(declared):
        number, called = port.get("containerPort"), port.get("name") or name
        entry = {
            "name": called,
            "port": number if index else SERVICE_PORT,
            "protocol": port.get("protocol") or "TCP",
            "targetPort": number,
        }
        ports.append({"appProtocol": _H2C, **entry} if called in ("grpc", "h2c") else entry)
    return ports


def _headless(metadata: Mapping[str, Any], name: str) -> Iterator[Made]:
    """The Services by which Ray's head and workers find each other."""
    for role, suffix, app in (("head", "head", ""), ("worker", "workers", "-worker")):
        own = copy.deepcopy(dict(metadata)) | {"name": f"{name}-{suffix}-1"}
        own["labels"]["multinode/role"] = role
        yield Made(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": own,
                "spec": {
                    "clusterIP": "None",
                    "publishNotReadyAddresses": True,
                    "selector": {
                        "app": f"{metadata['labels']['app']}{app}",
                        "isvc.generation": "1",
                    },
                },
            }
        )


def _ingress(content: Mapping[str, Any], name: str, roles: list[str]) -> dict[str, Any]:
    space = namespace_of(content)
    entry = "transformer" if "transformer" in roles else "predictor"
    targets = {name: entry}
    if entry == "transformer":
        targets[f"{name}-transformer"] = "predictor"  # as KServe 0.20 does
    targets[f"{name}-predictor"] = "predictor"
    metadata: dict[str, Any] = {"name": name, "namespace": space}
    metadata["annotations"] = own_annotations(content)
    model = mapping(mapping(mapping(content.get("spec")).get("predictor")).get("model"))
    if called := mapping(model.get("modelFormat")).get("name"):
        metadata["annotations"]["modelFormat"] = called
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {
            "ingressClassName": "nginx",
            "rules": [_rule(host, f"{name}-{role}", space) for host, role in targets.items()],
        },
    }


def _rule(host: str, target: str, space: str) -> dict[str, Any]:
    backend = {"service": {"name": target, "port": {"number": SERVICE_PORT}}}
    return {
        "host": f"{host}-{space}.{_HOSTS}",
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
