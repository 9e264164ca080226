"""Memory and processor time of a server, where its processes run on this machine."""

import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from time import monotonic
from typing import Final

import psutil

from predictors.upstream.client import URL

SAMPLE_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 2.0


@dataclass(slots=True)
class ServerUse:
    """Of one block. Bytes are resident sets of all processes together: pages that they share count
    once for each. `rss_bytes` at the end, `peak_bytes` the largest of the samples."""

    processes: int = 0
    rss_bytes: int = 0
    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    _samples: list[int] = field(default_factory=list, repr=False)


class ServerProcesses:
    """The processes that listen on a port of this machine, and all that they have started."""

    def __init__(self, owners: list[psutil.Process]) -> None:
        self._owners = owners
        self._found: list[psutil.Process] = []
        self._looked = -math.inf

    @property
    def pids(self) -> list[int]:
        return [owner.pid for owner in self._owners]

    @contextmanager
    def watched(self) -> Iterator[ServerUse]:
        """Around a block; a thread of its own looks, not the loop that sends."""
        use, over = ServerUse(), threading.Event()
        before = self._cpu_seconds()

        def sample() -> None:
            while not over.wait(SAMPLE_SECONDS):
                use._samples.append(self._rss_bytes()[1])

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield use
        finally:
            over.set()
            thread.join()
            use.processes, use.rss_bytes = self._rss_bytes()
            use.peak_bytes = max((*use._samples, use.rss_bytes))
            use.cpu_seconds = max(0.0, self._cpu_seconds() - before)

    def _all(self) -> list[psutil.Process]:
        """To look for children goes through all processes of the machine: not every time."""
        if monotonic() - self._looked < LOOK_SECONDS:
            return self._found
        self._looked = monotonic()
        found = {owner.pid: owner for owner in self._owners}
        for owner in self._owners:
            with suppress(psutil.Error):
                found |= {child.pid: child for child in owner.children(recursive=True)}
        self._found = list(found.values())
        return self._found

    def _rss_bytes(self) -> tuple[int, int]:
        """And how many processes those are of."""
        sizes = []
        for process in self._all():
            with suppress(psutil.Error):
                sizes.append(process.memory_info().rss)
        return len(sizes), sum(sizes)

    def _cpu_seconds(self) -> float:
        total = 0.0
        for process in self._all():
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total


def processes_of(url: str) -> ServerProcesses | None:
    """None where they run elsewhere, belong to another user, or are this process itself."""
    owners = listening_processes(url)
    return ServerProcesses(owners) if owners else None


def listening_processes(url: str) -> list[psutil.Process]:
    """Empty as for `processes_of`."""
    parsed = URL(url)
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    if not _is_here(parsed.host):
        return []
    pids = {pid for pid, bound in listeners() if bound == port}
    if os.getpid() in pids:
        return []
    with suppress(psutil.Error):
        return [psutil.Process(pid) for pid in sorted(pids)]
    return []


def listeners() -> list[tuple[int, int]]:
    """Process and port of each TCP socket that listens on this machine, as far as this user may
    see."""
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    return [
        (connection.pid, connection.laddr.port)
        for connection in connections
        if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr
    ]


def _is_here(host: str) -> bool:
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    own = {address.address for all_ in psutil.net_if_addrs().values() for address in all_}
    return any(address in own or ip_address(address).is_loopback for address in addresses)
