"""Runs `hem label` under the user's eyes: progress, and a Ctrl-C that loses nothing."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from transformers_hem.labels.job import Job, Result, Watcher, label

# Between two lines of progress: the second waits twice as long as the first, and so on.
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0


def run_with_progress(job: Job) -> tuple[Result | None, bool]:
    """The result, and whether a signal ended the run early.

    The first SIGINT or SIGTERM lets the questions in flight finish; the second ends them too, and
    the result is None. Either way what was answered is kept.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_watched(job))


async def _watched(job: Job) -> tuple[Result | None, bool]:
    stop = asyncio.Event()
    signals = 0
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            task.cancel()
            return
        stop.set()
        print("hem: stopping after the questions in flight; again: at once", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    shown, on_start, on_done = _progress()
    with shown:
        try:
            return await label(job, Watcher(on_start, on_done, stop)), signals > 0
        except asyncio.CancelledError:
            return None, True


def _progress() -> tuple[
    AbstractContextManager[object], Callable[[int, int], None], Callable[[], None]
]:
    """A bar on a terminal; elsewhere a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _Lines()
        return nullcontext(), lines.start, lines.done
    columns = ("labelling", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=None)

    def start(total: int, done: int) -> None:
        bar.update(task, total=total, completed=done)

    return bar, start, lambda: bar.advance(task)


class _Lines:
    def start(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._pause, self._told = _FIRST_PAUSE, time.monotonic()

    def done(self) -> None:
        self._done += 1
        if time.monotonic() - self._told > self._pause:
            self._pause, self._told = min(2 * self._pause, _LONGEST_PAUSE), time.monotonic()
            print(f"labelling: {self._done} of {self._total}", file=sys.stderr, flush=True)
