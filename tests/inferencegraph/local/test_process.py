"""Services as child processes: their output, their end, and what is left when `hem` dies."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from inferencegraph.local import process as process_module
from inferencegraph.local.plan import Component
from inferencegraph.local.process import ServiceProcess, exit_reason
from predictors.errors import ConfigurationError

WATCHDOG = Path(process_module.__file__).with_name("watchdog.py")


def scripted(code: str) -> Component:
    command = (sys.executable, "-S", "-c", textwrap.dedent(code))
    return Component("a", "a", command, dict(os.environ), 1, "/")


async def started(component: Component) -> tuple[ServiceProcess, list[str]]:
    lines: list[str] = []
    return await ServiceProcess.start(component, lambda _, line: lines.append(line)), lines


async def test_a_service_that_ends_leaves_its_exit_code_and_its_last_lines() -> None:
    process, lines = await started(scripted("print('one'); print('two'); raise SystemExit(3)"))
    assert await process.wait() == 3
    assert list(process.tail) == lines == ["one", "two"]


async def test_a_very_long_line_and_broken_utf8_do_not_stop_the_reading() -> None:
    code = r"import os; os.write(1, b'\xff' + b'x' * 300_000 + b'\nend\n')"
    process, lines = await started(scripted(code))
    await process.wait()
    assert lines[-1] == "end"


async def test_stopping_is_gentle_first_and_final_then() -> None:
    stubborn = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
        print("up", flush=True)
        while True: time.sleep(0.05)
    """
    process, lines = await started(scripted(stubborn))
    while "up" not in lines:
        await asyncio.sleep(0.02)
    began = time.monotonic()
    await process.stop()
    assert time.monotonic() - began < 5
    assert await process.wait() == -signal.SIGKILL
    assert "no" in lines


async def test_stopping_ends_the_children_of_a_service_too() -> None:
    code = """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
        print(child.pid, flush=True)
        child.wait()
    """
    process, lines = await started(scripted(code))
    while not lines:
        await asyncio.sleep(0.02)
    await process.stop()
    await gone(int(lines[0]))


async def test_a_command_that_does_not_exist_is_named() -> None:
    component = Component("qa", "qa", ("/no/such/command",), {}, 1, "/")
    with pytest.raises(ConfigurationError, match="qa: can't start '/no/such/command'"):
        await started(component)


async def test_the_watchdog_ends_the_services_of_a_hem_that_was_killed() -> None:
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    spared = subprocess.Popen(["sleep", "60"], start_new_session=True)
    watchdog = subprocess.Popen([sys.executable, "-S", WATCHDOG], stdin=subprocess.PIPE)
    try:
        watchdog.communicate(f"+{sleeper.pid}\n+{spared.pid}\n-{spared.pid}\n".encode(), timeout=10)
        assert sleeper.wait(5) == -signal.SIGTERM
        assert spared.poll() is None
    finally:
        for child in (sleeper, spared):
            child.kill()
            child.wait()


def test_exit_codes_read_as_reasons() -> None:
    assert exit_reason(3) == "exit code 3"
    assert exit_reason(-9, ["error: not this"]) == "signal SIGKILL"
    assert exit_reason(2, ["error: first", "error: no model", "noise"]) == "exit code 2: no model"
    last = '{"time":"2026-01-01T00:00:00.000Z","level":"CRITICAL","message":"error: no model"}'
    assert exit_reason(2, [last]) == "exit code 2: no model"


async def gone(pid: int) -> None:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"process {pid} is still there")
