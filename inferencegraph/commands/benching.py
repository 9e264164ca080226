"""What `hem bench` does once its options are read: the run, its progress, its report."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson
import psutil
import typer
from rich.console import Console, Group, RenderableType

from inferencegraph.commands.running import Progress, run_until_second_signal
from inferencegraph.evaluate.load.hops import additions, hops_load, measure as measure_hops
from inferencegraph.evaluate.load.plan import Load
from inferencegraph.evaluate.load.questions import Question
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.report import additions_report, report
from inferencegraph.evaluate.load.running import Run, execute
from inferencegraph.evaluate.load.summary import Summary, comparisons, summaries
from inferencegraph.evaluate.load.target import Target
from inferencegraph.evaluate.load.writing import Rows
from predictors.contract import Scalar
from predictors.errors import HEMError

FAILED: Final = 1
INTERRUPTED: Final = 130

Measure = Callable[[Rows | None, asyncio.Event], Coroutine[Any, Any, None]]
# Of summaries and a width: what is shown to people, and the facts that only this kind of run has.
Told = Callable[[Sequence[Summary], int], tuple[RenderableType, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Job:
    targets: Sequence[Target]
    questions: Sequence[Question]
    parameters: dict[str, Scalar]
    timeout: float
    out: Path | None
    as_json: bool


def run_load(job: Job, load: Load) -> None:
    """Prints what was measured, also where a signal ended it early. Exits with FAILED where nothing
    was answered, or rows are lost."""
    run = Run(load, job.targets)

    async def measure(rows: Rows | None, stop: asyncio.Event) -> None:
        await execute(
            run,
            job.questions,
            job.parameters,
            stop,
            timeout=job.timeout,
            on_block=rows.write if rows else lambda run, block: None,
        )

    def told(made: Sequence[Summary], width: int) -> tuple[RenderableType, dict[str, Any]]:
        compared = comparisons(run)
        facts = {"comparisons": [each.facts() for each in compared]}
        return report(run, made, compared, width), facts

    _run(job, run, measure, told)


def run_hops(job: Job, requests: int, seed: int) -> None:
    """The same for the hops of a local stack; `job.targets` are these."""
    run = Run(hops_load(requests, seed), job.targets)

    async def measure(rows: Rows | None, stop: asyncio.Event) -> None:
        try:
            await measure_hops(run, job.questions, job.parameters, stop, job.timeout)
        finally:
            if rows:
                for block in run.blocks:
                    rows.write(run, block)

    def told(made: Sequence[Summary], width: int) -> tuple[RenderableType, dict[str, Any]]:
        added = additions(run)
        facts = {"additions": [each.facts() for each in added]}
        return Group(report(run, made, [], width), additions_report(added)), facts

    _run(job, run, measure, told)


def _run(job: Job, run: Run, measure: Measure, told: Told) -> None:
    rows = Rows(job.out) if job.out else None
    _execute(run, rows, measure)
    # A pipe has no width of its own.
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    made = summaries(run)
    shown_to_people, more = told(made, console.width)
    facts = _facts(run, made) | more
    if job.as_json:
        print(orjson.dumps(facts).decode())
    else:
        console.print(shown_to_people)
    _warn(run, made)
    if rows:
        rows.finish(facts)
        if rows.fault:
            print(f"hem: error: {rows.fault}", file=sys.stderr)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)
    if (rows and rows.fault) or not any(summary.answered for summary in made):
        raise typer.Exit(FAILED)


def _execute(run: Run, rows: Rows | None, measure: Measure) -> None:
    """With its progress. Raises HEMError, or typer.Abort where nothing was asked: then no rows are
    kept."""

    async def shown(stop: asyncio.Event, progress: Progress) -> None:
        showing = asyncio.create_task(_show(run, progress))
        try:
            await measure(rows, stop)
        finally:
            showing.cancel()

    try:
        with Progress() as progress:
            run_until_second_signal(lambda stop: shown(stop, progress))
        if not run.asked:
            raise typer.Abort
    except (HEMError, typer.Abort):
        if rows:
            rows.discard()
        raise


async def _show(run: Run, progress: Progress) -> None:
    """Once a second, so that it takes no time from who sends: seconds of the plan, or requests."""
    load, shown = run.load, 0
    parts = len(load.levels) * len(run.targets)
    if load.requests is not None:
        name, total = "requests", parts * load.requests
    else:
        name, total = "seconds", round(parts * (load.warmup + (load.seconds or 0)))
    progress.begin(name, total)
    while True:
        await asyncio.sleep(1)
        done = min(total, run.asked if load.requests is not None else shown + 1)
        progress.one_more(name, done - shown)
        shown = done


def _facts(run: Run, made: Sequence[Summary]) -> dict[str, Any]:
    load = run.load
    return {
        "hem": version("kserve-hem"),
        "started_at": run.started_at.isoformat(),
        "machine": _machine(),
        "loop": load.loop,
        "duration_seconds": load.seconds,
        "requests": load.requests,
        "warmup_seconds": load.warmup,
        "blocks": load.blocks,
        "seed": load.seed,
        "interrupted": run.interrupted,
        "targets": {
            target.name: {
                "url": target.shown,
                "api": target.api,
                "stream": target.stream,
                "model": target.model,
            }
            for target in run.targets
        },
        "results": [summary.facts() for summary in made],
    }


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def _warn(run: Run, made: Sequence[Summary]) -> None:
    late: dict[str, list[str]] = {}
    for summary in made:
        where = f"{summary.target} at {summary.level:g}"
        if reason := summary.harness.bottleneck:
            late.setdefault(reason, []).append(where)
        for note in summary.notes:
            print(f"hem: note: {where}: {note}", file=sys.stderr)
    for reason, places in late.items():
        print(
            f"hem: warning: {', '.join(places)}: the harness is the bottleneck: {reason}; the "
            "server may do better than these figures",
            file=sys.stderr,
        )
    for target, cause, example in _examples(run):
        print(f"hem: {target}: {cause}, for one: {example}", file=sys.stderr)


def _examples(run: Run) -> list[tuple[str, str, str]]:
    """Of each cause of each target, one failure in its own words."""
    found: dict[tuple[str, str], Record] = {}
    for block in run.blocks:
        for record in block.records:
            if record.failure:
                found.setdefault((record.target, record.failure), record)
    return [(*key, record.detail) for key, record in found.items() if record.detail]
