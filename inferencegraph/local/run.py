"""From manifests on disk to a running stack: which manifests, which graphs, which ports."""

import random
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.validate import refuse
from inferencegraph.local.containers import with_own_images
from inferencegraph.local.observer import Observer
from inferencegraph.local.placement import LOOPBACK
from inferencegraph.local.plan import plan
from inferencegraph.local.stack import Stack
from inferencegraph.read.documents import MANIFESTS
from inferencegraph.read.kustomize import load
from inferencegraph.router.server import bind_port
from predictors.errors import ConfigurationError, known

EXAMPLE: Final = MANIFESTS / "answer-generation" / "mining-then-inference"
# Below the range from which Linux and macOS take the ports of outgoing connections: one of those
# could take a port between the moment it is chosen and the moment a slow server binds it.
_SERVICE_PORTS: Final = range(20_000, 30_000)


@asynccontextmanager
async def running(
    paths: Sequence[Path],
    graph: str | None,
    port: int,
    images: Sequence[str],
    observer: Observer,
) -> AsyncIterator[Stack]:
    """The stack of the manifests in `paths` (none: the example), graphs from `port` on (0: any
    free ports).

    Everything that can be wrong with the manifests or the ports is found before a model starts.
    """
    documents = [document for path in paths or [EXAMPLE] for document in load(path)]
    refuse(documents)
    graphs = chosen_graphs(documents, graph)
    sockets = bind_graph_ports(port, len(graphs))
    try:
        taken = [bound.getsockname()[1] for bound in sockets]
        made = plan(documents, graphs, taken, with_own_images(images), free_ports())
        async with Stack(made, sockets, observer) as stack:
            yield stack
    finally:
        for bound in sockets:
            bound.close()


def chosen_graphs(documents: Sequence[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    """All InferenceGraphs, or the one called `name`."""
    graphs = [document for document in documents if document["kind"] == "InferenceGraph"]
    chosen = [graph for graph in graphs if name in (None, graph["metadata"]["name"])]
    if name is not None and not chosen:
        names = [graph["metadata"]["name"] for graph in graphs]
        raise ConfigurationError(f"unknown graph {name!r}; {known(name, names)}")
    return chosen


def free_ports() -> Iterator[int]:
    """Ports nobody listens on, each given once."""
    for port in random.sample(_SERVICE_PORTS, len(_SERVICE_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port


def bind_graph_ports(first: int, count: int) -> list[socket.socket]:
    """Sockets on `first`, `first + 1`, ... (any free ones for 0): bound, so that nobody else takes
    them while the models load, and not listening, so that nobody is kept waiting either."""
    sockets: list[socket.socket] = []
    try:
        for offset in range(count):
            sockets.append(bind_port(LOOPBACK, first + offset if first else 0))
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return sockets
