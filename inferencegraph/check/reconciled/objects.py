"""The objects that KServe makes of components."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import COLLOCATED_TRANSFORMER, PREDICTOR_CONTAINER, mapping
from inferencegraph.check.pods.parts import Part, parts, whole
from inferencegraph.check.pods.template import DEFAULT_GRACE_SECONDS
from inferencegraph.check.reconciled.component import Component
from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.metadata import (
    AUTOSCALER,
    app_label,
    name_of,
    own_annotations,
    predictor_name,
    transformer_name,
)
from inferencegraph.check.reconciled.multi_node import (
    generation_label,
    head_service,
    worker_service,
)
from inferencegraph.check.reconciled.runtimes import wanted

_SERVICE_PORT: Final = 80
_HTTP_PORT: Final = 8080
_AGENT_PORT: Final = 9081
_DEFAULT_CPU_PERCENT: Final = 80
_ROLE: Final = "multinode/role"
_VISIBILITY: Final = "networking.kserve.io/visibility"
_POD_DEFAULTS: Final = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": DEFAULT_GRACE_SECONDS,
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER_DEFAULTS: Final = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}
_PROBED: Final = (PREDICTOR_CONTAINER, COLLOCATED_TRANSFORMER)


def objects_of(component: Component, namespace: str) -> Iterator[dict[str, Any]]:
    """Deployment, Services and autoscaler of a component."""
    app = app_label(component.name)
    metadata = {
        "name": component.name,
        "namespace": namespace,
        "labels": {**component.labels, "app": app},
        "annotations": dict(component.annotations),
    }
    yield _deployment(component, metadata)
    if component.role == "worker":
        return
    ports = service_ports(component)
    yield _object("v1", "Service", metadata, {"selector": {"app": app}, "ports": ports})
    if component.nodes > 1 or generation_label().items() <= dict(component.labels).items():
        yield from _headless(component, metadata)
    if component.annotations.get(AUTOSCALER) in (None, "hpa"):
        yield _object("autoscaling/v2", "HorizontalPodAutoscaler", metadata, autoscaling(component))


def _object(version: str, kind: str, metadata: Part, spec: Part) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def _deployment(component: Component, metadata: Part) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": metadata["labels"]["app"]}},
        "template": {"metadata": dict(metadata), "spec": _pod(component)},
    }
    strategy = component.scaling.get("deploymentStrategy")
    if isinstance(strategy, dict):
        spec["strategy"] = strategy
    else:
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
        spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
        spec |= {"revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
    if component.role == "worker":
        if spec["strategy"].get("type") == "RollingUpdate":
            rolling = {"maxUnavailable": "0%", "maxSurge": "100%"}
            spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
        spec["replicas"] = component.nodes - 1
    elif component.annotations.get(AUTOSCALER) == "none":
        replicas = component.scaling.get("minReplicas")
        spec |= {} if replicas is None else {"replicas": replicas}
    return _object("apps/v1", "Deployment", metadata, spec)


def _pod(component: Component) -> dict[str, Any]:
    containers = []
    for container, _ in parts(component.pod.get("containers"), ""):
        defaults: dict[str, Any] = dict(_CONTAINER_DEFAULTS)
        if container.get("name") in _PROBED:
            port = next(
                (p.get("containerPort") for p, _ in parts(container.get("ports"), "")), 8080
            )
            defaults["readinessProbe"] = {
                "tcpSocket": {"port": port},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            }
        containers.append(_with_defaults(container, defaults))
    return _with_defaults({**component.pod, "containers": containers}, _POD_DEFAULTS)


def _with_defaults(part: Part, defaults: Mapping[str, Any]) -> dict[str, Any]:
    absent = {name: value for name, value in defaults.items() if part.get(name) in (None, "")}
    return {**part, **absent}


def served_container(component: Component) -> int:
    """The index of the container whose ports the Service has."""
    found = [part for part, _ in parts(component.pod.get("containers"), "")]
    names = [part.get("name") for part in found]
    return names.index(COLLOCATED_TRANSFORMER) if COLLOCATED_TRANSFORMER in names else 0


def service_ports(component: Component) -> list[dict[str, Any]]:
    """In the order of the container's ports; the first is the Service's port 80."""
    container = component.pod["containers"][served_container(component)]
    ports = [
        _service_port(port, port.get("containerPort") if index else _SERVICE_PORT)
        for index, (port, _) in enumerate(parts(container.get("ports"), ""))
    ]
    if not ports:
        ports = [_plain_port(component.name)]
    if mapping(component.scaling).keys() & {"batcher", "logger"} and component.role != "graph":
        ports[0]["targetPort"] = _AGENT_PORT
    return ports


def _plain_port(name: str) -> dict[str, Any]:
    return {"name": name, "port": _SERVICE_PORT, "targetPort": _HTTP_PORT, "protocol": "TCP"}


def _service_port(port: Part, number: Any) -> dict[str, Any]:
    name = str(port.get("name") or "")
    made = {
        "name": name,
        "port": number,
        "targetPort": port.get("containerPort"),
        "protocol": port.get("protocol") or "TCP",
    }
    is_grpc = "grpc" in name or "h2c" in name
    return {**made, "appProtocol": "kubernetes.io/h2c"} if is_grpc else made


def _headless(component: Component, metadata: Part) -> Iterator[dict[str, Any]]:
    workers = f"{app_label(component.name)}-worker"
    for role, name, app in (
        ("head", head_service(component.name), metadata["labels"]["app"]),
        ("worker", worker_service(component.name), workers),
    ):
        yield _object(
            "v1",
            "Service",
            {**metadata, "name": name, "labels": {**metadata["labels"], _ROLE: role}},
            {
                "selector": {"app": app, **generation_label()},
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
            },
        )


def autoscaling(component: Component) -> dict[str, Any]:
    """The spec of the HorizontalPodAutoscaler."""
    least = max(1, whole(component.scaling.get("minReplicas")) or 1)
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": component.name},
        "minReplicas": least,
        "maxReplicas": max(least, whole(component.scaling.get("maxReplicas")) or 0),
        "metrics": list(_metrics(component.scaling)),
        "behavior": {},
    }


def _metrics(scaling: Part) -> Iterator[dict[str, Any]]:
    if isinstance(automatic := scaling.get("autoScaling"), dict):
        for metric, _ in parts(automatic.get("metrics"), ""):
            if isinstance(resource := metric.get("resource"), dict):
                yield from _metric(str(resource.get("name")), mapping(resource.get("target")))
        return
    name, target = scaling.get("scaleMetric") or "cpu", scaling.get("scaleTarget")
    if name == "cpu" or (name == "memory" and target is not None):
        share = _DEFAULT_CPU_PERCENT if target is None else target
        yield _resource(str(name), {"type": "Utilization", "averageUtilization": share})


def _metric(name: str, target: Part) -> Iterator[dict[str, Any]]:
    share = target.get("averageUtilization")
    if name == "cpu":
        share = _DEFAULT_CPU_PERCENT if share is None else share
        yield _resource(name, {"type": "Utilization", "averageUtilization": share})
    elif name == "memory" and target.get("type") == "AverageValue":
        yield _resource(name, {"type": "AverageValue", "averageValue": target.get("averageValue")})
    elif name == "memory":
        yield _resource(name, {"type": "Utilization", "averageUtilization": share})


def _resource(name: str, target: Part) -> dict[str, Any]:
    return {"type": "Resource", "resource": {"name": name, "target": dict(target)}}


def ingress_of(service: Part, installation: Installation) -> dict[str, Any] | None:
    """None for a service that only the cluster sees."""
    metadata, spec = mapping(service.get("metadata")), mapping(service.get("spec"))
    if mapping(metadata.get("labels")).get(_VISIBILITY) == "cluster-local":
        return None
    namespace, predictor = installation.namespace_of(service), predictor_name(service)
    entry = transformer_name(service) if spec.get("transformer") else predictor
    # Host -> Service; that a transformer's own host leads to the predictor is KServe's doing.
    hosts = {name_of(service): entry}
    if spec.get("transformer"):
        hosts[entry] = predictor
    hosts[predictor] = predictor
    model = wanted(mapping(spec.get("predictor")))
    return _object(
        "networking.k8s.io/v1",
        "Ingress",
        {
            "name": name_of(service),
            "namespace": namespace,
            "annotations": own_annotations(service, model),
        },
        {
            "ingressClassName": installation.ingress_class,
            "rules": [
                _rule(installation.host(host, namespace), name) for host, name in hosts.items()
            ],
        },
    )


def _rule(host: str, service: str) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"number": _SERVICE_PORT}}}
    return {
        "host": host,
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
