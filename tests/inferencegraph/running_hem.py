"""`hem up` as a user starts it: a process of its own, read line by line."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import psutil

from predictors.contract import Scalar, text_request

HEM = (sys.executable, "-m", "inferencegraph")


def hem(
    *arguments: str, timeout: float = 60, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """A `hem` command that ends by itself."""
    return subprocess.run(
        [*HEM, *arguments], capture_output=True, text=True, timeout=timeout, input=input
    )


class RunningHem:
    """`hem up --json --port 0 ARGUMENTS`, ready; a context manager that leaves nothing running."""

    def __init__(
        self,
        arguments: Sequence[str],
        timeout: float = 120,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed by `close`)
        command = [*HEM, "up", "--json", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
        began = time.monotonic()
        self.events: list[dict[str, Any]] = []
        try:
            ready = self.wait_for("all_ready", timeout)
        except BaseException:
            self.close()
            raise
        self.ready_seconds = time.monotonic() - began
        self.url: str = ready["urls"][0]
        self.pids = {e["name"]: e["pid"] for e in self.events if e["event"] == "started"}

    def __enter__(self) -> "RunningHem":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def wait_for(self, event: str, timeout: float = 30) -> dict[str, Any]:
        """Reads on to the first `event`. Fails with what `hem` said when it ends before."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(f"hem up ended: {self.errors()}")
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"no {event} within {timeout} s; so far: {self.events}")

    def ask(self, *texts: str, url: str | None = None, **parameters: Scalar) -> httpx.Response:
        body = text_request(texts, parameters)
        return httpx.post(url or self.url, json=body, timeout=60)

    def kill(self, name: str) -> None:
        os.kill(self.pids[name], signal.SIGKILL)

    def family(self) -> list[psutil.Process]:
        """`hem` and everything it started."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Seconds until it had ended."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def close(self) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def still_there(processes: Sequence[psutil.Process], within: float = 5) -> list[psutil.Process]:
    """Those of `processes` that have not ended `within` seconds."""
    _, alive = psutil.wait_procs(processes, timeout=within)
    return [item for item in alive if item.status() != psutil.STATUS_ZOMBIE]
