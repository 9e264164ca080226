"""`hem import`."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from inferencegraph.commands import import_options as given
from inferencegraph.commands.options import AsJson

if TYPE_CHECKING:
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.importing.report import Report

_MEGABYTE = 1_000_000


def import_(
    format: given.Format,
    files: given.Files,
    out: given.Out,
    edge: given.Edge = None,
    cloud: given.Cloud = None,
    option: given.Option = None,
    system: given.System = "keep",
    limit: given.Limit = None,
    seed: given.Seed = 0,
    dedupe: given.Dedupe = False,
    strict: given.Strict = False,
    redact: given.Redact = None,
    redact_parameters: given.RedactParameters = "",
    force: given.Force = False,
    as_json: AsJson = False,
) -> None:
    """Makes rows for `hem label`, `hem train`, `hem calibrate` and `hem evaluate` of logs and data
    sets of others.

    What can't be a row is left out, counted, and named by file and line.

    Example: `hem import openai-chat logs.jsonl.gz --out rows.jsonl`

    Example: `hem import openai-chat logs.jsonl.gz --redact placeholder --out rows.jsonl`

    Example: `hem import mmlu data --option shots=5 --limit 1000 --out mmlu.jsonl`
    """
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.importing.rows import Pair
    from inferencegraph.evaluate.importing.run import Job, import_rows, sizes

    job = Job(
        format,
        files,
        out,
        option or (),
        Pair(edge, cloud),
        system == "keep",
        limit,
        seed,
        dedupe,
        strict,
        force,
        redact,
        redact_parameters,
    )
    with _stopped_by_sigterm(), Progress() as progress:
        report = import_rows(job, _megabytes(progress, sizes(files)))
    told = {"out": str(out), **report.facts()}
    print(json.dumps(told) if as_json else _text(report, out))
    for line in report.lines():
        print(f"hem: {line}", file=sys.stderr)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: what is half written is removed. Raises typer.Abort after either."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Abort from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _megabytes(progress: "Progress", total: int) -> Callable[[int], None]:
    task, read = "importing, MB", 0
    progress.begin(task, max(1, total // _MEGABYTE))

    def on_read(count: int) -> None:
        nonlocal read
        before, read = read, read + count
        for _ in range(read // _MEGABYTE - before // _MEGABYTE):
            progress.one_more(task)

    return on_read


def _text(report: "Report", out: Path) -> str:
    left = sum(report.left_out.values())
    told = f"{report.written} rows in {out}, of {report.read} records"
    return f"{told}; {left} left out" if left else told
