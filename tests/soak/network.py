"""Where proxies listen: on loopback, or at the far end of a wire that can lose packets.

The wire is a veth pair into a network namespace of its own. Only sockets live in that namespace:
a socket stays where the thread stood that made it.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOST_PERCENT: Final = 20
_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True)
class Network:
    """Loopback. `no_loss` says why packets can't be lost here; empty where they can."""

    no_loss: str
    address: str = "127.0.0.1"

    def listener(self, port: int = 0) -> socket.socket:
        """Bound, not listening yet; asyncio wants it to say that it is TCP."""
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self.address, port))
        return bound

    def lose(self, port: int) -> None:
        raise AssertionError(self.no_loss)

    def keep(self) -> None:
        """Loses nothing any more."""


@dataclass(frozen=True)
class Wire(Network):
    """The far end has `address` in the namespace `name`; the near end is the device `near`."""

    no_loss: str = ""
    name: str = ""
    near: str = ""

    def listener(self, port: int = 0) -> socket.socket:
        made: list[socket.socket | OSError] = []

        def inside() -> None:
            try:
                _enter(self.name)
                made.append(super(Wire, self).listener(port))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def lose(self, port: int) -> None:
        """LOST_PERCENT of the packets to `port`, and as many of those from it."""
        lost = f"numgen random mod 100 < {LOST_PERCENT} drop"
        ends = (
            (self._there, "inet", "hook input", f"tcp dport {port}"),
            ((), "netdev", f'hook ingress device "{self.near}"', f"tcp sport {port}"),
        )
        for where, family, hook, which in ends:
            chain = f"chain lossy {{\n type filter {hook} priority 0\n {which} {lost}\n}}"
            rules = f"table {family} {self.name} {{\n{chain}\n}}\n"
            subprocess.run([*where, "nft", "-f", "-"], input=rules, text=True, check=True)

    def keep(self) -> None:
        for where, family in ((self._there, "inet"), ((), "netdev")):
            command = [*where, "nft", "delete", "table", family, self.name]
            subprocess.run(command, capture_output=True, check=False)

    @property
    def _there(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)


def _enter(namespace: str) -> None:
    """This thread's sockets are made in `namespace` from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/var/run/netns/{namespace}").open() as there:
        if libc.setns(there.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


@contextmanager
def network() -> Iterator[Network]:
    """A Wire where this process may make one, else loopback."""
    missing = [name for name in ("ip", "nft") if shutil.which(name) is None]
    if missing:
        yield Network(f"{' and '.join(missing)} not installed")
        return
    number = os.getpid()
    name, near, far = f"hem-soak-{number}", f"hs{number}n", f"hs{number}f"
    net = f"10.{200 + number % 50}.{number // 64 % 256}"
    wire = Wire(address=f"{net}.2", name=name, near=near)
    try:
        commands = (
            f"netns add {name}",
            f"link add {near} type veth peer name {far} netns {name}",
            f"addr add {net}.1/30 dev {near}",
            f"link set {near} up",
            f"-n {name} addr add {net}.2/30 dev {far}",
            f"-n {name} link set {far} up",
            f"-n {name} link set lo up",
        )
        try:
            for command in commands:
                _ip(command)
        except subprocess.CalledProcessError as error:
            yield Network(f"no network namespace: {error.stderr.strip()}")
            return
        yield wire
    finally:
        wire.keep()
        for command in (f"link del {near}", f"netns del {name}"):
            subprocess.run(["ip", *command.split()], capture_output=True, check=False)


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True)
