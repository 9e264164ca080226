"""InferenceServices -> local processes, with what KServe would have injected into each.

A custom predictor gets only what its manifest says. A transformer gets `--model_name` and
`--predictor_host` unless it has its own. Every container gets its ports appended, last, so that
they win over those that it has inside its pod.
"""

import copy
import itertools
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inferencegraph.build.mining import MODEL_MOUNT
from inferencegraph.check.containers import argument
from inferencegraph.local.containers import (
    LocalCommand,
    command_line,
    local_command,
    localized,
    manifest_environment,
    model_directory,
    process_environment,
    runs_own_command,
)
from inferencegraph.local.placement import (
    GATEWAY,
    LOOPBACK,
    Addresses,
    Placed,
    Placement,
    host_names,
)
from inferencegraph.local.volumes import config_maps, mounted

LOOPBACKS: Final = (LOOPBACK, "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Component:
    """One container as a local process; ready when GET `url + ready_path` answers 200."""

    name: str
    service: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    port: int
    ready_path: str
    grpc_port: int = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def gateway(self) -> str | None:
        """What its gateway calls the site, where it has one: as transformers_hem.gateway does."""
        if not any(map(self.environment.get, GATEWAY)):
            return None
        named = self.service.removesuffix("-hem").removesuffix("-edge")
        return self.environment.get("HEM_SITE") or named

    @property
    def asks_the_cloud(self) -> bool:
        """Whether it is an edge model whose engine does that itself."""
        return "--engine=speculative" in self.command

    @property
    def page(self) -> str | None:
        """Where its gateway's page is, where that is on: as transformers_hem.gateway does."""
        chosen = self.environment.get("HEM_UI") or "auto"
        here = self.environment.get("HEM_HOST") in LOOPBACKS
        on = chosen == "on" or (chosen == "auto" and here)
        return f"{self.url}/ui" if self.gateway and on else None


@dataclass(frozen=True, slots=True)
class Plan:
    """`infer_urls`: InferenceService -> where a graph's step with that serviceName posts."""

    components: tuple[Component, ...]
    infer_urls: Mapping[str, str]
    graphs: tuple[dict[str, Any], ...]


def plan(
    documents: Sequence[dict[str, Any]],
    graphs: Sequence[dict[str, Any]],
    first_ports: Sequence[int],
    images: Mapping[str, LocalCommand],
    ports: Iterator[int],
    gateway_ports: Iterator[int] | None = None,
    folder: Path | None = None,
) -> Plan:
    """`first_ports` are those of the graphs, or of the InferenceServices where there is no graph;
    `gateway_ports` those of HEM servers with a gateway (None: as for the others). `folder`: where
    ConfigMaps that containers mount are written to (None: nowhere).

    Raises ConfigurationError for a container that can't run here.
    """
    services = [document for document in documents if document["kind"] == "InferenceService"]
    placement = Placement(services, ports)
    if not graphs:
        placement.serve_at(first_ports)
    elif gateway_ports is not None:
        placement.serve_gateways_at(gateway_ports)
    hosts: dict[str, int] = {}
    for graph, port in zip(graphs, first_ports, strict=bool(graphs)):
        metadata = graph["metadata"]
        names = host_names(metadata["name"], metadata.get("namespace", "default"))
        hosts |= dict.fromkeys(names, port)
    hosts |= placement.hosts()
    threads = max(1, (os.cpu_count() or 1) // max(1, len(placement.placed)))
    grpc = placement.grpc_hosts()
    maps = config_maps(documents)
    components = [
        _component(
            item,
            Addresses(hosts, placement.pod(item), grpc),
            images,
            threads,
            mounted(item, maps, folder) if folder else {},
        )
        for item in placement.placed
    ]
    localized_graphs = [_localized_graph(graph, Addresses(hosts, {})) for graph in graphs]
    return Plan(tuple(components), placement.infer_urls(), tuple(localized_graphs))


def own_commands(
    services: Sequence[dict[str, Any]], table: Mapping[str, LocalCommand]
) -> list[str]:
    """Notes about the containers whose own command runs on this machine instead of in an image."""
    return [
        f"{item.name}: {shlex.join(map(str, item.container['command']))} runs here, on this "
        f"machine, in place of the image {item.container.get('image')!r}"
        for item in Placement(services, itertools.repeat(0)).placed
        if runs_own_command(item.container, table)
    ]


def _localized_graph(graph: dict[str, Any], addresses: Addresses) -> dict[str, Any]:
    """The graph with the serviceUrls that point into the cluster pointing here."""
    local = copy.deepcopy(graph)
    for node in local["spec"]["nodes"].values():
        for step in node["steps"]:
            if step.get("serviceUrl"):
                step["serviceUrl"] = addresses.localize(step["serviceUrl"])
    return local


def _component(
    item: Placed,
    addresses: Addresses,
    images: Mapping[str, LocalCommand],
    threads: int,
    mounts: Mapping[str, str],
) -> Component:
    local = local_command(item.container, images, item.where)
    declared = manifest_environment(item.container, item.where)
    directory = model_directory(declared.get("STORAGE_URI"), item.where) or local.models
    paths = {**mounts, **({MODEL_MOUNT: directory} if directory is not None else {})}
    environment = {key: localized(value, addresses, paths) for key, value in declared.items()}
    words = command_line(item.container, local, declared, tuple(_injected(item)))
    words = [localized(word, addresses, paths) for word in words]
    words += [*local.listen, local.http_port, str(item.http_port)]
    words += [local.grpc_port, str(item.grpc_port)] if local.grpc_port else []
    # The container's own HTTP readiness probe, or the one that V2 servers have.
    probe = (item.container.get("readinessProbe") or {}).get("httpGet") or {}
    return Component(
        name=item.name,
        service=item.service,
        command=tuple(words),
        environment=process_environment(environment, threads),
        port=item.http_port,
        ready_path=str(probe.get("path") or f"/v2/models/{item.service}/ready"),
        grpc_port=item.grpc_port,
    )


def _injected(item: Placed) -> Iterator[str]:
    """What KServe adds to a custom transformer that doesn't have it."""
    if item.role != "transformer":
        return
    if argument(item.container, "--model_name") is None:
        yield from ("--model_name", item.service)
    if argument(item.container, "--predictor_host") is None:
        yield from ("--predictor_host", f"{item.service}-predictor.{item.namespace}")
