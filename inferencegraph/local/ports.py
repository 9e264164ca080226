"""Ports of this machine: those of graphs, held from the start on, and free ones for services."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from inferencegraph.local.placement import LOOPBACK
from inferencegraph.router.server import bind_port
from predictors.errors import ConfigurationError

LARGEST: Final = 65535
# Below the range from which Linux and macOS take the ports of outgoing connections: one of those
# could take a port between the moment it is chosen and the moment a slow server binds it.
_SERVICE_PORTS: Final = range(20_000, 30_000)


# Above the port of the first graph, the gateways' begin: easy to remember, and to leave out.
GATEWAYS: Final = 100


def free_ports(among: Sequence[int] = _SERVICE_PORTS) -> Iterator[int]:
    """Ports on which nothing listens; each comes once."""
    return filter(_is_free, random.sample(among, len(among)))


def claimed_ports(held: ExitStack) -> Iterator[int]:
    """Free ports that, until `held` is left, no other `hem up` takes: a service binds its own
    seconds after it was chosen."""
    return (port for port in free_ports() if _claim(port, held))


def gateway_ports(first_graph: int, others: Iterator[int]) -> Iterator[int]:
    """8180 and so on beside 8080; `others` where those are taken, or for 0."""
    first = first_graph + GATEWAYS if first_graph else LARGEST + 1
    for port in range(first, first + GATEWAYS):
        yield port if port <= LARGEST and _is_free(port) else next(others)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def hold_ports(first: int, count: int, held: ExitStack) -> list[socket.socket]:
    """Sockets on `first`, `first + 1`, ... (any free ones for 0), until `held` is left: bound, so
    that no other program takes them while the models load, and not listening, so that no client
    waits either.

    Raises ConfigurationError that names --port.
    """
    if first and first + count - 1 > LARGEST:
        raise ConfigurationError(
            f"--port {first}: {count} ports from there on go beyond {LARGEST}; give a lower one"
        )
    sockets = []
    for port in range(first, first + count) if first else [0] * count:
        if port and not _claim(port, held):
            raise ConfigurationError(
                f"port {port} on {LOOPBACK} is taken by another `hem up`; choose another with "
                "--port"
            )
        sockets.append(held.enter_context(bind_port(LOOPBACK, port)))
    return sockets


def _claim(port: int, held: ExitStack) -> bool:
    """Whether no other `hem up` has it. Two sockets that don't listen yet can be bound to one port;
    a locked file tells them apart."""
    path = Path(tempfile.gettempdir()) / f"hem-{os.getuid()}-port-{port}.lock"
    try:
        file = held.enter_context(path.open("a"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            return False  # another one's, which was removed; somebody may have a new one by now
    except BlockingIOError:
        return False
    except OSError:
        return True  # no place for such files; the port itself still shows who listens
    held.callback(path.unlink, missing_ok=True)
    return True
