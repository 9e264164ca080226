"""`hem import`."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inferencegraph.commands.options import AsJson

if TYPE_CHECKING:
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.importing.report import Report

_MEGABYTE = 1_000_000


def import_(
    format: Annotated[
        str,
        typer.Argument(
            help="One of {inferencegraph.evaluate.importing:FORMATS}.", show_default=False
        ),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files or folders; gzip too.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option(help="Gets the rows, JSONL; .gz packs them.", show_default=False)
    ],
    edge: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model of the source that is the edge's. Of logs, rows of other models than "
            "--edge and --cloud are left out; without both the answers are the cloud's.",
            show_default=False,
        ),
    ] = None,
    cloud: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The same for the cloud.", show_default=False),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the format, name=value, as shots=5 of mmlu; repeatable.", show_default=False
        ),
    ] = None,
    system: Annotated[
        Literal["keep", "drop"], typer.Option(help="System prompts in `messages`.")
    ] = "keep",
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many rows, drawn by --seed.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Leave out queries that came before.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="End at the first record that can't be a row; write none."),
    ] = False,
    redact: Annotated[
        Literal["drop", "hash", "placeholder"] | None,
        typer.Option(
            help="Private items, as PrivacyGuard finds them, become nothing, a hash that is the "
            "same in all rows, or a placeholder like <EMAIL_1>.",
            show_default=False,
        ),
    ] = None,
    redact_parameters: Annotated[
        str,
        typer.Option(help="Of PrivacyGuard, as in HEM_GUARDS: a JSON object.", show_default=False),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite --out.")] = False,
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
    # As Ctrl-C: what is half written is removed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Progress() as progress:
            report = import_rows(job, _megabytes(progress, sizes(files)))
    except KeyboardInterrupt:
        raise typer.Abort from None
    finally:
        signal.signal(signal.SIGTERM, before)
    if as_json:
        print(json.dumps({"out": str(out), **report.facts()}))
    else:
        print(_text(report, out))
    for line in report.lines():
        print(f"hem: {line}", file=sys.stderr)


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
