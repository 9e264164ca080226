"""Ports on this machine: free ones for the services, the asked-for ones for the graphs."""

import random
import socket
from collections.abc import Iterator

from inferencegraph.local.addresses import LOOPBACK
from inferencegraph.router.server import bind_port

# Below the range from which Linux and macOS take the ports of outgoing connections: one of those
# could take a port between the moment it is chosen and the moment a slow server binds it.
_SERVICE_PORTS = range(20_000, 30_000)


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
