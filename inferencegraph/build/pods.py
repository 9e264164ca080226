"""What every pod of ours has in common: images, resources, the edge node it is pinned to, probes.

Values come in as frozen dataclasses and go out as plain dicts in Kubernetes' own spelling. Plain
dicts rather than kserve's models: those know required fields only, cost a second and a half to
import (`hem render` would pay it), and the tests check what is built against KServe's CRDs, which
is stricter.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from inferencegraph.check.pods.quantities import quantity
from predictors.errors import ConfigurationError

STANDARD_MODE: Final = {"serving.kserve.io/deploymentMode": "Standard"}
EDGE_ROLE: Final = "node-role.kubernetes.io/edge"
HOST_LABEL: Final = "kubernetes.io/hostname"
# Whose an object is: the spec that it was made from.
OWNER_LABEL: Final = "kserve-hem.io/owner"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
METRICS_PORT: Final = "prometheus.io/port"  # the annotation
HTTP_PORT: Final = 8080
GRPC_PORT: Final = 8081
CONTAINER_NAME: Final = "kserve-container"
NVIDIA: Final = "nvidia.com/gpu"

SECURITY_CONTEXT: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True)
class Images:
    """Image names as manifests carry them; kustomize's `images` sets registry and tag. engines: by
    an engine's name, whose container has that image instead of its own."""

    predictor: str = "kserve-hem-predictor"
    predictor_vllm: str = "kserve-hem-predictor-vllm"
    transformer: str = "kserve-hem-transformer"
    digits_triton: str = "kserve-hem-digits-triton"
    triton: str = "kserve-hem-triton"
    openai_server: str = "kserve-hem-openai-server"
    engines: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> dict[str, str]:
        """Those of this project, by the fields above."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "engines"}


@dataclass(frozen=True, slots=True)
class Resources:
    """Kubernetes quantities, which limit a container. Where nothing else is requested, requests
    equal them, so that the kubelet evicts such a pod last. `gpus` are counted as `accelerator`."""

    cpu: str
    memory: str
    gpus: int = 0
    requested_cpu: str | None = None
    requested_memory: str | None = None
    accelerator: str = NVIDIA

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "requested_cpu", "requested_memory"):
            value = getattr(self, name)
            if value is not None and (quantity(value) or 0) <= 0:
                raise ConfigurationError(
                    f"{name.removeprefix('requested_')} {value!r} is not a quantity of Kubernetes, "
                    "such as 500m, 2 or 4Gi"
                )

    @property
    def threads(self) -> int:
        """Whole CPUs, at least one: what a model may use without being throttled."""
        return max(1, math.floor(quantity(self.cpu) or 1))

    def manifest(self) -> dict[str, dict[str, str]]:
        amounts = {"cpu": self.cpu, "memory": self.memory}
        if self.gpus:
            amounts[self.accelerator] = str(self.gpus)
        requested = {"cpu": self.requested_cpu, "memory": self.requested_memory}
        requests = amounts | {name: value for name, value in requested.items() if value}
        return {"requests": requests, "limits": dict(amounts)}


@dataclass(frozen=True, slots=True)
class EdgeNode:
    """Where a site's pods run: any node with the edge role, or the one named `hostname`, or those
    with `labels`. `tolerations`: of further taints."""

    hostname: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()

    def manifest(self) -> dict[str, Any]:
        """nodeSelector and tolerations: the role's taint, and being cut off from the control
        plane, which must not evict a site that answers on its own."""
        selector = {EDGE_ROLE: "", **self.labels}
        if self.hostname:
            selector[HOST_LABEL] = self.hostname
        cut_off = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
        tolerations: list[dict[str, Any]] = [
            {"key": EDGE_ROLE, "operator": "Exists", "effect": "NoSchedule"}
        ]
        tolerations += [{"key": k, "operator": "Exists", "effect": "NoExecute"} for k in cut_off]
        tolerations += [dict(each) for each in self.tolerations]
        return {"nodeSelector": selector, "tolerations": tolerations}


ANY_EDGE_NODE: Final = EdgeNode()

# The secret with the registry's password; the kubelet pulls without one where there is none.
PULL_SECRET: Final = "kserve-hem-registry"
# More than our servers take to drain, to end what they generate, and to close.
TERMINATION_SECONDS: Final = 160
# A node with room for one such pod: the old one goes before the new one comes.
NO_SURGE: Final = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
# For servers that close their port at once on SIGTERM: until then nobody sends them anything more.
SLEEP_FIRST: Final = {"preStop": {"exec": {"command": ["sleep", "5"]}}}


def pod_fields(metrics_port: int = HTTP_PORT) -> dict[str, Any]:
    """What every pod of ours says beside its containers; its metrics are scraped at
    `metrics_port`."""
    return {
        "annotations": {
            "prometheus.io/scrape": "true",
            METRICS_PORT: str(metrics_port),
            "prometheus.io/path": "/metrics",
        },
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "terminationGracePeriodSeconds": TERMINATION_SECONDS,
    }


def labels(instance: str, component: str, owner: str | None = None) -> dict[str, str]:
    """Kubernetes' recommended labels. instance: the site or cloud; component: its part in it;
    owner: the spec that it was made from."""
    return {
        "app.kubernetes.io/name": "kserve-hem",
        INSTANCE_LABEL: instance,
        COMPONENT_LABEL: component,
        "app.kubernetes.io/part-of": "kserve-hem",
        "app.kubernetes.io/managed-by": "hem",
        OWNER_LABEL: owner or instance,
    }


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens and how it is asked for its health: `ports` by name, the first one
    HTTP; `live` and `ready` are paths there."""

    ports: Mapping[str, int]
    live: str
    ready: str

    @property
    def http_port(self) -> int:
        return next(iter(self.ports.values()))


# The only place that a container of ours may write to; caches of hubs and compilers are in it.
TEMPORARY: Final = "tmp"


def temporary(name: str = TEMPORARY) -> dict[str, Any]:
    """The volume for `temporary_mount`."""
    return {"name": name, "emptyDir": {}}


def temporary_mount(name: str = TEMPORARY) -> dict[str, Any]:
    return {"name": name, "mountPath": "/tmp"}


# A pod's own /dev/shm is 64 MiB, through which several processes of one server pass tensors.
SHARED_MEMORY: Final = "shared-memory"
SHARED_MEMORY_MOUNT: Final = {"name": SHARED_MEMORY, "mountPath": "/dev/shm"}


def shared_memory(size: str) -> dict[str, Any]:
    """The volume for SHARED_MEMORY_MOUNT; what is in it counts as the container's memory."""
    return {"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def container(
    image: str,
    model_name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    resources: Resources,
    start_seconds: int,
) -> dict[str, Any]:
    """A container of ours, a custom predictor's or transformer's.

    `--model_name` is always there: KServe adds it to custom transformers only.
    """
    words = [f"--model_name={model_name}", *arguments]
    return v2_container(image, model_name, words, environment, resources, start_seconds)


def v2_container(
    image: str,
    model_name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    resources: Resources,
    start_seconds: int,
) -> dict[str, Any]:
    """Any V2 server's container, which serves `model_name` on our ports.

    `start_seconds` is how long loading may take before the kubelet starts again.
    """
    ready = f"/v2/models/{model_name}/ready"
    listening = Listening({"http": HTTP_PORT, "grpc": GRPC_PORT}, "/v2/health/live", ready)
    variables = {"PROTOCOL": "v2", **environment}
    return server_container(
        CONTAINER_NAME, image, arguments, variables, listening, resources, start_seconds
    )


def with_command(container: Mapping[str, Any], *command: str) -> dict[str, Any]:
    """The container with these words in place of its image's entrypoint, before its arguments."""
    named = {"name": container["name"], "image": container["image"]}
    return {**named, "command": list(command), **container}


def server_container(
    name: str,
    image: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    listening: Listening,
    resources: Resources,
    start_seconds: int,
) -> dict[str, Any]:
    """Any server's container."""
    return {
        "name": name,
        "image": image,
        "args": list(arguments),
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        "ports": [
            {"name": port_name, "containerPort": port, "protocol": "TCP"}
            for port_name, port in listening.ports.items()
        ],
        **probes(listening, start_seconds),
        "resources": resources.manifest(),
        "securityContext": copy.deepcopy(SECURITY_CONTEXT),
        "volumeMounts": [temporary_mount()],
    }


def probes(
    listening: Listening, start_seconds: int, startup: str | None = None
) -> dict[str, dict[str, Any]]:
    """Over HTTP: Standard mode's own default is a TCP probe, which a loading model passes. Only
    readiness asks for the model: a transformer's waits for its predictor's, however long. startup:
    another path than that of liveness."""
    live = {"path": listening.live, "port": listening.http_port}
    ready = {"path": listening.ready, "port": listening.http_port}
    every = {"periodSeconds": 10, "timeoutSeconds": 5}
    return {
        "startupProbe": {
            "httpGet": {**live, "path": startup or listening.live},
            **every,
            "failureThreshold": math.ceil(start_seconds / every["periodSeconds"]),
        },
        "livenessProbe": {"httpGet": live, **every, "failureThreshold": 6},
        "readinessProbe": {"httpGet": ready, **every},
    }
