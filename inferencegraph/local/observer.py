"""What a running stack reports: for people on a terminal, in plain lines, or as JSON lines."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from inferencegraph.local.plan import Component
from predictors.upstream.probe import Told

_SHOWN_LINES = 12
_PROBED = "ModelNotReady: "


@dataclass(frozen=True, slots=True)
class Death:
    """A service that has ended by itself: `reason` in a few words, what it `means` for answers, and
    the seconds until it starts again, None where it won't."""

    component: Component
    reason: str
    last_lines: Sequence[str]
    means: str
    restart_seconds: float | None


class Observer(Protocol):
    """Is called for everything that happens to a stack, in the order in which it happens."""

    def started(self, component: Component, pid: int) -> None: ...
    def ready(self, component: Component, seconds: float) -> None: ...
    def died(self, death: Death) -> None: ...
    def far_side(self, component: Component, who: str, said: Told, means: str) -> None: ...
    def line(self, component: Component, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def loaded(self) -> None: ...


class TextObserver:
    """Lines on stderr, so that stdout is left to results; a live display where there is a
    terminal. `logs` shows the services' own lines, each behind its service's name."""

    def __init__(self, *, logs: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._logs = logs
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            TextColumn("[dim]{task.fields[state]}"),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=4,
            disable=not self._console.is_terminal,
        )
        self._live = self._console.is_terminal  # until `loaded`

    def started(self, component: Component, pid: int) -> None:
        about = f"{component.name:<16} pid {pid:<7} {component.url}"
        if not self._live:
            self._console.print(about, markup=False)
            return
        self._progress.start()
        self._tasks[component.name] = self._progress.add_task(about, total=1, state="loading")

    def ready(self, component: Component, seconds: float) -> None:
        if not self._live:
            self._console.print(f"{component.name} ready after {seconds:.1f} s", markup=False)
        else:
            self._progress.update(self._tasks[component.name], completed=1, state="ready")

    def died(self, death: Death) -> None:
        wait = death.restart_seconds
        then = f"; it starts again in {wait:g} s" if wait is not None else ""
        what = f"{death.component.name} died: {death.reason}: {death.means}{then}"
        self._console.print(Text(f"hem: {what}", style="red"))
        shown = _worth_showing(death.reason, death.last_lines)
        if shown:
            self._console.print(Text(f"  its last lines:{shown}", style="dim"))

    def far_side(self, component: Component, who: str, said: Told, means: str) -> None:
        if said.fault:
            self._console.print(
                Text(f"hem: {component.name}: {who} {said.fault}: {means}", style="red")
            )
            self._console.print(Text(f"    {said.detail}", style="dim"))
        else:
            self._console.print(Text(f"hem: {component.name}: {who} answers again"))

    def line(self, component: Component, text: str) -> None:
        if self._logs:
            self._console.print(Text(f"[{component.name}] {text}", style="dim"))

    def note(self, text: str) -> None:
        self._console.print(f"hem: note: {text}", markup=False)

    def loaded(self) -> None:
        self._progress.stop()
        self._live = False


class JsonObserver:
    """One JSON object per line on stdout, each with an `event`; `logs` as for `TextObserver`."""

    def __init__(self, *, logs: bool) -> None:
        self._logs = logs

    def started(self, component: Component, pid: int) -> None:
        self._print("started", component, pid=pid, url=component.url)

    def ready(self, component: Component, seconds: float) -> None:
        self._print("ready", component, seconds=round(seconds, 2))

    def died(self, death: Death) -> None:
        self._print(
            "died",
            death.component,
            reason=death.reason,
            last_lines=list(death.last_lines),
            means=death.means,
            restart_seconds=death.restart_seconds,
        )

    def far_side(self, component: Component, who: str, said: Told, means: str) -> None:
        facts = {"fault": said.fault, "detail": said.detail} if said.fault else {}
        means = means if said.fault else ""
        self._print("far_side", component, upstream=said.upstream, means=means, **facts)

    def line(self, component: Component, text: str) -> None:
        if self._logs:
            self._print("line", component, text=text)

    def note(self, text: str) -> None:
        print(json.dumps({"event": "note", "text": text}), flush=True)

    def loaded(self) -> None:
        pass

    def _print(self, event: str, component: Component, **fields: object) -> None:
        about = {"name": component.name, "service": component.service}
        print(json.dumps({"event": event, **about, **fields}), file=sys.stdout, flush=True)


def death_notice(component: Component, reason: str, last_lines: Sequence[str]) -> str:
    """Which and why; with its last lines where `reason` is only a code or a signal."""
    shown = _worth_showing(reason, last_lines)
    notice = f"{component.name} died: {reason}"
    return f"{notice}; its last lines:{shown}" if shown else notice


def _worth_showing(reason: str, last_lines: Sequence[str]) -> str:
    """Empty where `reason` says all; without what a loading model answers to each probe."""
    if ": " in reason:
        return ""
    lines = [line for line in last_lines if line and _PROBED not in line][-_SHOWN_LINES:]
    return "".join(f"\n    {line}" for line in lines)
