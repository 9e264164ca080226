"""A service of a running `hem up` that is killed and started again, as Kubernetes would."""

import asyncio
import contextlib
import signal
import subprocess
from pathlib import Path

import httpx
import psutil

from predictors.contract import HEM_PREFER
from predictors.upstream.ask import ask

BACK_WITHIN_SECONDS = 90.0


class ReplacedService:
    """The service with this process id; ones that are started in its place log to `log`."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self._name = name
        process = psutil.Process(pid)
        self._command, self._environment = process.cmdline(), process.environ()
        self._process: psutil.Process | subprocess.Popen[bytes] = process
        self._log = log

    def kill(self) -> None:
        self._process.kill()
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.wait(10)

    async def start_again(self, client: httpx.AsyncClient, graph: str) -> None:
        """Returns once the graph has an answer of it: the circuit breaker is closed again."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=out, start_new_session=True
            )
        async with asyncio.timeout(BACK_WITHIN_SECONDS):
            while await self._served_by(client, graph) != self._name:
                await asyncio.sleep(0.5)

    async def _served_by(self, client: httpx.AsyncClient, graph: str) -> str | None:
        reply = await ask(client, graph, ["1 + 1?"], {HEM_PREFER: "cloud"})
        return reply.answers[0].served_by

    def close(self) -> None:
        if isinstance(self._process, subprocess.Popen):
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
