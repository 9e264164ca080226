"""Servers that are forked from a process which has imported what all of ours import.

`python -m MODULE` computes for two seconds before it serves, nearly all of it imports of kserve's
dependencies. Here that is done once for each process of pytest. What is ours and what is kserve's
own is imported by each server, as kserve reads the command line when it is imported.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

# Packages of others: they read no command line and open nothing when they are imported.
PRELOADED: Final = [
    "aiohttp",
    "cloudevents",
    "fastapi",
    "grpc",
    "httptools",
    "httpx",
    "httpx_aiohttp",
    "jsonschema",
    "kubernetes.client",
    "kubernetes.dynamic",
    "numpy",
    "openai.types.chat",
    "orjson",
    "pandas",
    "prometheus_client",
    "psutil",
    "pydantic_settings",
    "tenacity",
    "uvicorn",
    "uvloop",
]
# What an interpreter or a library reads once, when it starts.
_READ_EARLY: Final = ("PYTHON", "OMP_", "LD_", "OPENBLAS_", "MKL_")

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)


def can_be_forked(env: Mapping[str, str]) -> bool:
    """Whether these variables mean the same to a process that is forked. vLLM starts processes of
    its own, and looks at how this one was started."""
    return find_spec("vllm") is None and not any(name.startswith(_READ_EARLY) for name in env)


class ForkedProcess:
    """`python -m MODULE ARGUMENTS`, with as much of subprocess.Popen as the tests use."""

    def __init__(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path
    ) -> None:
        self._process = _CONTEXT.Process(
            target=_run, args=(module, [*arguments], {**env}, str(log), str(cwd))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(str(self._process.name), timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(module: str, arguments: list[str], env: dict[str, str], log: str, cwd: str) -> None:
    """Inside the new process."""
    with open(log, "wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, cwd)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
