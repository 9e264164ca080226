"""A service of a running `hem up` as an operator's hand or a node's failure meets it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import psutil

from tests.conftest import free_port
from tests.soak.bad_callers import Address

READY_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 30.0
# A replacement loads its model as if it did so on another machine.
NICE: Final = 10


class Service:
    """Named as `hem up` names it; what is started in its place, or beside it, logs to `log`."""

    def __init__(self, name: str, pid: int, url: str, log: Path) -> None:
        self.name, self.url, self.log = name, url, log
        process = psutil.Process(pid)
        self._command, self._environment = process.cmdline(), process.environ()
        self._process: psutil.Process | subprocess.Popen[bytes] = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def address(self) -> Address:
        words = self._command[::-1]
        return Address(self.name, self.port, int(words[words.index("--grpc_port") - 1]))

    @property
    def infer_url(self) -> str:
        return self.address.infer_url

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._wait(DRAIN_SECONDS)

    def terminate(self) -> None:
        """Returns once it has ended; one that won't is killed."""
        self._signal(signal.SIGTERM)
        if not self._wait(DRAIN_SECONDS):
            self.kill()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def start(self) -> None:
        self._process = self._popen(self._command, self._environment)

    def stand_in(
        self, options: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> "Service":
        """A second one on ports of its own, which has `options` last."""
        port, grpc_port = str(free_port()), str(free_port())
        ports = ("--http_port", port, "--grpc_port", grpc_port)
        variables = {**self._environment, **(environment or {})}
        process = self._popen([*self._command, *ports, *options], variables)
        service = Service(self.name, process.pid, f"http://127.0.0.1:{port}", self.log)
        service._process = process
        return service

    def _popen(
        self, command: list[str], environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as out:
            return subprocess.Popen(
                ["nice", "-n", str(NICE), *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"{self.url}/v2/models/{self.name}/ready", timeout=2)
            return answer.status_code == 200 and b"true" in answer.content.lower()
        return False

    def wait_ready(self) -> None:
        """Raises TimeoutError."""
        until = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} is not ready; see {self.log}")
            time.sleep(0.2)

    @property
    def alive(self) -> bool:
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll() is None
        return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE

    def close(self) -> None:
        """Ends what was started here; `hem up` ends its own."""
        if isinstance(self._process, subprocess.Popen):
            self.thaw()
            self.terminate()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self.alive and time.monotonic() < until:
            time.sleep(0.02)
        return not self.alive
