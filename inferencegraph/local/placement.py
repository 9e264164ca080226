"""Where each container of the manifests gets its ports, and under which names it is reached."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inferencegraph.build.pods import CONTAINER_NAME
from inferencegraph.local.addresses import LOOPBACK, host_names
from predictors.errors import ConfigurationError

TRANSFORMER_CONTAINER = "transformer-container"
_KSERVE_HTTP_PORT = 8080


@dataclass(frozen=True, slots=True)
class Placed:
    """A container, and the ports it gets here."""

    service: str
    namespace: str
    role: str
    container: Mapping[str, Any]
    http_port: int
    grpc_port: int

    @property
    def name(self) -> str:
        own = self.container.get("name", "")
        if self.role == "transformer":
            return f"{self.service}-transformer"
        if own == TRANSFORMER_CONTAINER:
            return f"{self.service}-transformer"
        return self.service if own in ("", CONTAINER_NAME) else f"{self.service}-{own}"

    @property
    def where(self) -> str:
        return f"InferenceService {self.service!r}, container {self.container.get('name', '?')!r}"


class Placement:
    """The containers of all InferenceServices. Raises ConfigurationError for a component without
    containers."""

    def __init__(self, services: Iterable[Mapping[str, Any]], ports: Iterator[int]) -> None:
        self.placed = [item for service in services for item in _place(service, ports)]

    def entry(self, service: str, role: str | None = None) -> Placed:
        """The container that gets the traffic: the transformer's if there is one, within a pod
        the collocated `transformer-container`."""
        own = [
            item for item in self.placed if item.service == service and role in (None, item.role)
        ]
        outer = [item for item in own if item.role == "transformer"] or own
        collocated = [item for item in outer if item.container.get("name") == TRANSFORMER_CONTAINER]
        return (collocated or outer)[0]

    def hosts(self) -> dict[str, int]:
        """Host name -> port: `<service>` is its entry, as are `<service>-predictor` and
        `<service>-transformer` of theirs."""
        hosts: dict[str, int] = {}
        for item in self.placed:
            whole = host_names(item.service, item.namespace)
            hosts |= dict.fromkeys(whole, self.entry(item.service).http_port)
            part = host_names(f"{item.service}-{item.role}", item.namespace)
            hosts |= dict.fromkeys(part, self.entry(item.service, item.role).http_port)
        return hosts

    def grpc_hosts(self) -> dict[tuple[str, int], int]:
        """Host name and gRPC port of a container that says which -> its port here."""
        hosts: dict[tuple[str, int], int] = {}
        for item in self.placed:
            port = _grpc_pod_port(item.container)
            for name in (item.service, f"{item.service}-{item.role}") if port else ():
                for host in host_names(name, item.namespace):
                    hosts[host, port] = item.grpc_port
        return hosts

    def pod(self, item: Placed) -> dict[int, int]:
        """Port inside the pod of `item` -> port here, for its containers."""
        together = (item.service, item.role)
        neighbours = [other for other in self.placed if (other.service, other.role) == together]
        grpc = {_grpc_pod_port(other.container): other.grpc_port for other in neighbours}
        grpc.pop(0, None)
        return grpc | {_pod_port(other.container): other.http_port for other in neighbours}

    def infer_urls(self) -> dict[str, str]:
        """InferenceService -> where a graph's step with that serviceName posts."""
        return {item.service: self._infer_url(item.service) for item in self.placed}

    def _infer_url(self, service: str) -> str:
        base = f"http://{LOOPBACK}:{self.entry(service).http_port}"
        first = next(item for item in self.placed if item.service == service)
        if _protocol(first.container) == "v2":
            return f"{base}/v2/models/{service}/infer"
        return f"{base}/v1/models/{service}:predict"


def _place(service: Mapping[str, Any], ports: Iterator[int]) -> Iterator[Placed]:
    metadata = service["metadata"]
    for role in ("predictor", "transformer"):
        component = service["spec"].get(role)
        if component is None:
            continue
        containers = component.get("containers")
        if not containers:
            raise ConfigurationError(
                f"InferenceService {metadata['name']!r}: its {role} has no containers; "
                "a ServingRuntime's model needs a cluster, or a container with one of our images"
            )
        for container in containers:
            namespace = metadata.get("namespace", "default")
            yield Placed(metadata["name"], namespace, role, container, next(ports), next(ports))


def _pod_port(container: Mapping[str, Any]) -> int:
    """The port on which its neighbours in the pod reach a container."""
    if given := _option(container, "--http[_-]port"):
        return given
    declared = container.get("ports") or [{}]
    return int(declared[0].get("containerPort", _KSERVE_HTTP_PORT))


def _grpc_pod_port(container: Mapping[str, Any]) -> int:
    """Where the container says that it speaks gRPC; 0 where it doesn't."""
    if given := _option(container, "--grpc[_-]port"):
        return given
    named = [port for port in container.get("ports") or [] if port.get("name") == "grpc"]
    return int(named[0].get("containerPort", 0)) if named else 0


def _option(container: Mapping[str, Any], pattern: str) -> int:
    """The number after an option; 0 where it is not given."""
    words = " ".join(str(word) for word in container.get("args") or [])
    given = re.search(rf"(?:^| ){pattern}[= ](\d+)", words)
    return int(given[1]) if given else 0


def _protocol(container: Mapping[str, Any]) -> str:
    """KServe reads it from the first container of the predictor."""
    for entry in container.get("env") or []:
        if entry["name"] == "PROTOCOL":
            return str(entry.get("value", "v1"))
    return "v1"
