"""From manifests on disk to a running stack, and the signals that end it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from inferencegraph.local.images import with_own_images
from inferencegraph.local.manifests import chosen_graphs, read_manifests
from inferencegraph.local.observer import Observer
from inferencegraph.local.plan import plan
from inferencegraph.local.ports import bind_graph_ports, free_ports
from inferencegraph.local.stack import Stack

T = TypeVar("T")


@asynccontextmanager
async def running(
    paths: Sequence[Path],
    graph: str | None,
    port: int,
    images: Sequence[str],
    observer: Observer,
) -> AsyncIterator[Stack]:
    """The stack of the manifests in `paths`, graphs from `port` on (0: any free ones).

    Everything that can be wrong with the manifests or the ports is found before a model starts.
    """
    documents = read_manifests(paths)
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
