"""InferenceServices -> local processes, with what KServe would have injected into each.

A custom predictor gets nothing but what its manifest says. A transformer gets `--model_name` and
`--predictor_host` unless it has its own. Every container gets its ports appended, last, so that
they win over those it has inside its pod.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inferencegraph.local.addresses import LOOPBACK, Addresses, host_names
from inferencegraph.local.containers import (
    command_line,
    localized,
    manifest_environment,
    model_directory,
    process_environment,
)
from inferencegraph.local.images import LocalCommand, local_command
from predictors.errors import ConfigurationError

TRANSFORMER_CONTAINER = "transformer-container"
_KSERVE_HTTP_PORT = 8080


@dataclass(frozen=True, slots=True)
class Component:
    """One container as a local process; ready when GET `url + ready_path` answers 200."""

    name: str
    service: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    ready_path: str

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`infer_urls`: InferenceService -> where a graph's step with that serviceName posts."""

    components: tuple[Component, ...]
    infer_urls: Mapping[str, str]
    graphs: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A container with the ports it gets here."""

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
        return f"{self.service}-transformer" if own == TRANSFORMER_CONTAINER else self.service

    @property
    def where(self) -> str:
        return f"InferenceService {self.service!r}, container {self.container.get('name', '?')!r}"


def plan(
    documents: Sequence[dict[str, Any]],
    graphs: Sequence[dict[str, Any]],
    graph_ports: Sequence[int],
    images: Mapping[str, LocalCommand],
    ports: Iterator[int],
) -> Plan:
    """Raises ConfigurationError for a container that can't run here."""
    services = [document for document in documents if document["kind"] == "InferenceService"]
    placed = [item for service in services for item in _place(service, ports)]
    hosts = _hosts(placed, graphs, graph_ports)
    threads = max(1, (os.cpu_count() or 1) // max(1, len(placed)))
    return Plan(
        components=tuple(_component(item, placed, hosts, images, threads) for item in placed),
        infer_urls={name: _infer_url(name, placed) for name in dict.fromkeys(_names(placed))},
        graphs=tuple(graphs),
    )


def _place(service: Mapping[str, Any], ports: Iterator[int]) -> Iterator[_Placed]:
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
            yield _Placed(metadata["name"], namespace, role, container, next(ports), next(ports))


def _names(placed: Sequence[_Placed]) -> list[str]:
    return [item.service for item in placed]


def _entry(service: str, placed: Sequence[_Placed], role: str | None = None) -> _Placed:
    """The container that gets the traffic: the transformer's if there is one, within a pod the
    collocated `transformer-container`."""
    own = [item for item in placed if item.service == service and role in (None, item.role)]
    by_role = [item for item in own if item.role == "transformer"] or own
    collocated = [item for item in by_role if item.container.get("name") == TRANSFORMER_CONTAINER]
    return (collocated or by_role)[0]


def _hosts(
    placed: Sequence[_Placed], graphs: Sequence[dict[str, Any]], graph_ports: Sequence[int]
) -> dict[str, int]:
    hosts: dict[str, int] = {}
    for graph, port in zip(graphs, graph_ports, strict=True):
        metadata = graph["metadata"]
        namespace = metadata.get("namespace", "default")
        hosts.update(dict.fromkeys(host_names(metadata["name"], namespace), port))
    for item in placed:
        whole = host_names(item.service, item.namespace)
        hosts.update(dict.fromkeys(whole, _entry(item.service, placed).http_port))
        part = host_names(f"{item.service}-{item.role}", item.namespace)
        hosts.update(dict.fromkeys(part, _entry(item.service, placed, item.role).http_port))
    return hosts


def _component(
    item: _Placed,
    placed: Sequence[_Placed],
    hosts: Mapping[str, int],
    images: Mapping[str, LocalCommand],
    threads: int,
) -> Component:
    local = local_command(str(item.container.get("image", "")), dict(images), item.where)
    declared = manifest_environment(item.container, item.where)
    pod = [other for other in placed if (other.service, other.role) == (item.service, item.role)]
    addresses = Addresses(hosts, {_pod_port(other.container): other.http_port for other in pod})
    directory = model_directory(declared.get("STORAGE_URI"), item.where)
    environment = {key: localized(value, addresses, directory) for key, value in declared.items()}
    words = command_line(item.container, local, declared, tuple(_injected(item)))
    words = [localized(word, addresses, directory) for word in words]
    words += [local.http_port, str(item.http_port)]
    words += [local.grpc_port, str(item.grpc_port)] if local.grpc_port else []
    return Component(
        name=item.name,
        service=item.service,
        command=tuple(words),
        environment=process_environment(environment, threads),
        port=item.http_port,
        ready_path=_ready_path(item),
    )


def _injected(item: _Placed) -> Iterator[str]:
    """What KServe adds to a custom transformer that doesn't say it itself."""
    if item.role != "transformer":
        return
    words = [str(word) for word in item.container.get("args") or []]
    given = {word.split("=", 1)[0] for word in words}
    if "--model_name" not in given:
        yield from ("--model_name", item.service)
    if "--predictor_host" not in given:
        yield from ("--predictor_host", f"{item.service}-predictor.{item.namespace}")


def _pod_port(container: Mapping[str, Any]) -> int:
    """The port on which its neighbours in the pod reach a container."""
    words = [str(word) for word in container.get("args") or []]
    for index, word in enumerate(words):
        option, _, value = word.partition("=")
        if option == "--http_port":
            return int(value or words[index + 1])
    declared = container.get("ports") or [{}]
    return int(declared[0].get("containerPort", _KSERVE_HTTP_PORT))


def _protocol(service: str, placed: Sequence[_Placed]) -> str:
    """KServe reads it from the first container of the predictor."""
    predictor = next(item for item in placed if item.service == service)
    for entry in predictor.container.get("env") or []:
        if entry["name"] == "PROTOCOL":
            return str(entry.get("value", "v1"))
    return "v1"


def _infer_url(service: str, placed: Sequence[_Placed]) -> str:
    base = f"http://{LOOPBACK}:{_entry(service, placed).http_port}"
    if _protocol(service, placed) == "v2":
        return f"{base}/v2/models/{service}/infer"
    return f"{base}/v1/models/{service}:predict"


def _ready_path(item: _Placed) -> str:
    """The container's own HTTP readiness probe, or the one that V2 servers have."""
    probe = (item.container.get("readinessProbe") or {}).get("httpGet") or {}
    return str(probe.get("path") or f"/v2/models/{item.service}/ready")
