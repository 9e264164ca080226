"""One service as a child process: started in a group of its own, its last lines kept."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from inferencegraph.local.plan import Component
from predictors.errors import ConfigurationError
from predictors.json_log import message_of

# Enough to finish an answer; a torch process needs longer than that just to take itself apart.
STOP_GRACE_SECONDS = 2.0
_TAIL_LINES = 200
_LONGEST_LINE = 4_000

OnLine = Callable[[Component, str], None]


class Watchdog:
    """A tiny process that ends process groups when this process is gone."""

    def __init__(self) -> None:
        script = str(Path(__file__).with_name("watchdog.py"))
        self._process = subprocess.Popen(
            [sys.executable, "-S", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # else a reader of ours would wait for its end, too
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        self._write(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._write(f"-{group}\n")

    def close(self) -> None:
        self._process.communicate()  # closes its stdin, which ends it

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


class ServiceProcess:
    """A component that runs; `tail` has the last lines of its output, stdout and stderr
    together."""

    def __init__(
        self, component: Component, process: asyncio.subprocess.Process, on_line: OnLine
    ) -> None:
        self.component = component
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._process = process
        self._on_line = on_line
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, component: Component, on_line: OnLine) -> "ServiceProcess":
        """`on_line` gets each line of its output. Raises ConfigurationError where it can't
        start."""
        try:
            process = await asyncio.create_subprocess_exec(
                *component.command,
                env=dict(component.environment),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{component.name}: can't start {component.command[0]!r}: {error.strerror}"
            ) from None
        return cls(component, process, on_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The exit code, negative for a signal; its last lines are in `tail` by then."""
        code = await self._process.wait()
        # A grandchild may hold the pipe open; the lines it still writes are not waited for.
        await asyncio.wait([self._reader], timeout=0.5)
        return code

    async def stop(self) -> None:
        """Ends the whole group: SIGTERM, then SIGKILL to whatever is left."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        await self._process.wait()
        self._reader.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        while chunk := await self._process.stdout.read(65_536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._keep(line)
            if len(rest) > _LONGEST_LINE:
                self._keep(rest)
                rest = b""
        if rest:
            self._keep(rest)

    def _keep(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip("\r")[:_LONGEST_LINE]
        self.tail.append(line)
        self._on_line(self.component, line)


def exit_reason(code: int, tail: Iterable[str] = ()) -> str:
    """`exit code 2: model_dir /x does not exist` where the last lines have the reason, behind
    `error: `, as those of our services do; `signal SIGKILL` for a negative code."""
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"signal {names.get(-code, -code)}"
    messages = map(message_of, tail)
    reasons = [text.removeprefix("error: ") for text in messages if text.startswith("error: ")]
    return f"exit code {code}: {reasons[-1]}" if code and reasons else f"exit code {code}"
