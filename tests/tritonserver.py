"""A real tritonserver for tests, with model repositories of theirs.

A conftest imports the fixture: `from tests.tritonserver import start_triton as start_triton`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, free_port

MODELS = ROOT / "tests" / "data" / "triton_models"
READY_SECONDS = 120


class TritonServer:
    """tritonserver on loopback; `stop` and `start` again keep its ports."""

    def __init__(self, repository: Path, log: Path, *options: str) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        self.http, self.grpc = f"127.0.0.1:{self.http_port}", f"127.0.0.1:{self.grpc_port}"
        self.log = log
        self._command = [
            *(sys.executable, "-m", "inferencegraph.local.tritonserver"),
            *("--model-repository", str(repository), "--allow-metrics=false", "--exit-timeout=2"),
            *("--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port), *options),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True) -> "TritonServer":
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command, stdout=out, stderr=out, cwd=ROOT, start_new_session=True
            )
        if ready:
            self._wait_ready()
        return self

    def stop(self) -> None:
        """Ends the server and the processes of its models."""
        if self.process is None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _wait_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://{self.http}/v2/health/ready").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"tritonserver is not ready:\n{self.log.read_text()[-4000:]}")


StartTriton = Callable[..., TritonServer]


@pytest.fixture(scope="session")
def start_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartTriton]:
    """start_triton(repository, *options), its models ready; `repository` is our scripted ones."""
    started: list[TritonServer] = []

    def start(repository: Path = MODELS, *options: str, run: bool = True) -> TritonServer:
        server = TritonServer(repository, tmp_path_factory.mktemp("triton") / "log", *options)
        started.append(server)
        return server.start() if run else server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def tritonserver(start_triton: StartTriton) -> TritonServer:
    """One with the models of tests/data/triton_models."""
    return start_triton()
