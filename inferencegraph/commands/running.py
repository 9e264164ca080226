"""How a long command runs: its progress on stderr, and what Ctrl-C does to it."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import rich.progress
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TimeRemainingColumn

T = TypeVar("T")

# Between two lines of progress: the second waits twice as long as the first, and so on.
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0


class Progress(rich.progress.Progress):
    """How far each of several tasks is: a bar on a terminal; elsewhere a line now and then."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._ids: dict[str, TaskID] = {}

    def begin(self, name: str, total: int, completed: int = 0) -> None:
        """Shows a task, or has no effect where it is shown already."""
        if name not in self._ids:
            self._ids[name] = self.add_task(name, total=total, completed=completed)
            self._pause, self._printed = _FIRST_PAUSE, time.monotonic()

    def one_more(self, name: str, count: int = 1) -> None:
        """Counts one more, or `count` more, of the task's total as done."""
        self.advance(self._ids[name], count)
        if self.disable and time.monotonic() - self._printed > self._pause:
            self._pause, self._printed = min(2 * self._pause, _LONGEST_PAUSE), time.monotonic()
            task = self.tasks[self._ids[name]]
            print(f"{name}: {task.completed:.0f} of {task.total:.0f}", file=sys.stderr, flush=True)


def run_until_signal(main: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """Runs `main` and returns its result; SIGINT, SIGTERM and SIGHUP cancel it once, so that it
    cleans up, and the result is None."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return _run(main(), lambda task: task.cancelling() or task.cancel(), signals)


def run_until_second_signal(
    main: Callable[[asyncio.Event], Coroutine[Any, Any, T]],
) -> tuple[T | None, bool]:
    """Runs `main`; returns its result, and whether a signal ended it early.

    The first SIGINT or SIGTERM sets the event that `main` got, and lets the questions in flight
    finish; the second cancels `main`, and the result is None.
    """
    stop = asyncio.Event()

    def on_signal(task: asyncio.Task[Any]) -> None:
        if stop.is_set():
            task.cancel()
            return
        stop.set()
        print("hem: stopping after the questions in flight; again: at once", file=sys.stderr)

    return _run(main(stop), on_signal, (signal.SIGINT, signal.SIGTERM)), stop.is_set()


def _run(
    work: Coroutine[Any, Any, T],
    on_signal: Callable[[Any], object],
    signals: Sequence[signal.Signals],
) -> T | None:
    async def guarded() -> T | None:
        for number in signals:
            task = asyncio.current_task()
            asyncio.get_running_loop().add_signal_handler(number, on_signal, task)
        try:
            return await work
        except asyncio.CancelledError:
            return None

    return uvloop.run(guarded())
