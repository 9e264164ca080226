"""Where each container of the manifests gets its ports, and how it is reached.

A Service of a cluster is known by four names (`x`, `x.ns`, `x.ns.svc`, `x.ns.svc.cluster.local`),
whatever port is written behind them: inside a cluster that port is the Service's, here it is the
process's. Only a port that its container declares for gRPC is another one here, too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from inferencegraph.build.pods import CONTAINER_NAME, HTTP_PORT
from inferencegraph.check.containers import (
    COLLOCATED_TRANSFORMER,
    ROLES,
    argument,
    components,
    containers,
    environment,
    mapping,
    sequence,
)
from predictors.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
# The variables of which each turns a HEM server's gateway on.
GATEWAY: Final = ("HEM_CLOUD_URL", "HEM_EDGE_URL")
_ADDRESS: Final = re.compile(
    r"(?P<lead>://|^|=)(?P<host>[a-z0-9][-a-z0-9.]*)(?P<port>:\d+)?(?=[/?#,\s]|$)"
)
_COMPONENTS: Final = tuple(f"-{role}" for role in ROLES)


def host_names(service: str, namespace: str) -> list[str]:
    """Every name under which a cluster's DNS knows `service`."""
    return [
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    ]


@dataclass(frozen=True, slots=True)
class Addresses:
    """`services`: host name -> local port. `pod`: port inside the pod -> local port, for
    containers that meet on `localhost` (a collocated transformer and its predictor). `grpc`: host
    name and the port on which that service speaks gRPC -> local port."""

    services: Mapping[str, int]
    pod: Mapping[int, int]
    grpc: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def localize(self, text: str) -> str:
        """`text` with every address of a known service replaced by its local one.

        A bare InferenceService name is left alone unless it stands in a URL or carries a port:
        `--model_name=qa-edge` is a model's name, not a host.
        """
        return _ADDRESS.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        lead, host, port = match["lead"], match["host"], match["port"]
        local = self._local_port(host, port, in_url=lead == "://")
        return match[0] if local is None else f"{lead}{LOOPBACK}:{local}"

    def _local_port(self, host: str, port: str | None, *, in_url: bool) -> int | None:
        if host in {"localhost", LOOPBACK}:
            return self.pod.get(int(port[1:])) if port else None
        if port and (there := self.grpc.get((host, int(port[1:])))):
            return there
        is_host = in_url or port or host.endswith(".svc") or ".svc." in host
        if is_host or host.split(".")[0].endswith(_COMPONENTS):
            return self.services.get(host)
        return None


@dataclass(frozen=True, slots=True)
class Placed:
    """A container, the ports it gets here, and the volumes of its pod."""

    service: str
    namespace: str
    role: str
    container: Mapping[str, Any]
    http_port: int
    grpc_port: int
    volumes: Sequence[Mapping[str, Any]] = ()

    @property
    def name(self) -> str:
        own = self.container.get("name", "")
        if self.role == "transformer" or own == COLLOCATED_TRANSFORMER:
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
        collocated = [
            item for item in outer if item.container.get("name") == COLLOCATED_TRANSFORMER
        ]
        return (collocated or outer)[0]

    def serve_at(self, ports: Iterable[int]) -> None:
        """Moves the entries of the first services to these HTTP ports."""
        names = dict.fromkeys(item.service for item in self.placed)
        for name, port in zip(names, ports, strict=False):
            entry = self.entry(name)
            self.placed[self.placed.index(entry)] = replace(entry, http_port=port)

    def serve_gateways_at(self, ports: Iterator[int]) -> None:
        """Moves each HEM server with a gateway to a port that its callers can remember."""
        for place, item in enumerate(self.placed):
            if any(environment(item.container, name) for name in GATEWAY):
                self.placed[place] = replace(item, http_port=next(ports))

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
        """Host name and gRPC port, of each container that declares one -> its port here."""
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
        urls: dict[str, str] = {}
        for item in self.placed:
            # KServe reads the protocol from the first container of the predictor.
            is_v2 = environment(item.container, "PROTOCOL") == "v2"
            path = (
                f"v2/models/{item.service}/infer" if is_v2 else f"v1/models/{item.service}:predict"
            )
            base = f"http://{LOOPBACK}:{self.entry(item.service).http_port}"
            urls.setdefault(item.service, f"{base}/{path}")
        return urls


def _place(service: Mapping[str, Any], ports: Iterator[int]) -> Iterator[Placed]:
    metadata = service["metadata"]
    for role, component in components(service):
        inside = containers(component)
        if not inside:
            raise ConfigurationError(
                f"InferenceService {metadata['name']!r}: its {role} has no containers; "
                "a ServingRuntime's model needs a cluster, or a container with one of our images"
            )
        for container in inside:
            namespace = metadata.get("namespace", "default")
            http_port, grpc_port = next(ports), next(ports)
            volumes = [mapping(volume) for volume in sequence(component.get("volumes"))]
            yield Placed(
                metadata["name"], namespace, role, container, http_port, grpc_port, volumes
            )


def _pod_port(container: Mapping[str, Any]) -> int:
    """The port on which its neighbours in the pod reach a container."""
    declared = container.get("ports") or [{}]
    return _port_option(container, "http") or int(declared[0].get("containerPort", HTTP_PORT))


def _grpc_pod_port(container: Mapping[str, Any]) -> int:
    """The port that the container declares for gRPC, or 0."""
    named = [port for port in container.get("ports") or [] if port.get("name") == "grpc"]
    declared = int(named[0].get("containerPort", 0)) if named else 0
    return _port_option(container, "grpc") or declared


def _port_option(container: Mapping[str, Any], kind: str) -> int:
    """The number after --KIND_port or --KIND-port, or 0."""
    values = (argument(container, f"--{kind}{dash}port") for dash in "_-")
    return next((int(value) for value in values if value and value.isdecimal()), 0)
