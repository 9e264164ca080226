"""What `hem label` does once its options are read: the job, its progress, its report."""

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import typer

from inferencegraph.commands.counts import counted
from inferencegraph.commands.running import Progress, run_until_second_signal
from transformers_hem.labels.job import Job, Result, Watcher, label

UNLABELLED: Final = 1
INTERRUPTED: Final = 130
_SHOWN_FAILURES: Final = 20
# Of one side's answers: from here on labels say more of the reading than of it.
_MANY_UNREAD: Final = 0.05


def run_job(job: Job, as_json: bool) -> None:
    """Exits with UNLABELLED or INTERRUPTED where questions have no labels yet."""
    result, stopped = _labelled(job)
    if result is None:
        raise typer.Abort
    print(json.dumps(_facts(job, result)) if as_json else _text(job, result))
    _warn_of_unread(job, result)
    _tell_failures(job, result)
    if result.summary.missing:
        have = "has" if result.summary.missing == 1 else "have"
        missing = f"{counted(result.summary.missing, 'question')} {have} no labels"
        print(f"hem: error: {missing}; the same command goes on", file=sys.stderr)
        raise typer.Exit(INTERRUPTED if stopped else UNLABELLED)


def _labelled(job: Job) -> tuple[Result | None, bool]:
    """And whether a signal ended it early; None where a second one did."""
    task = "labelling"
    with Progress() as progress:
        begin, one_more = partial(progress.begin, task), partial(progress.one_more, task)
        return run_until_second_signal(lambda stop: label(job, Watcher(begin, one_more, stop)))


def _tell_failures(job: Job, result: Result) -> None:
    for failure in result.failures[:_SHOWN_FAILURES]:
        print(f"hem: {failure.id}: {failure.reason}", file=sys.stderr)
    if (hidden := len(result.failures) - _SHOWN_FAILURES) > 0:
        print(f"hem: and {hidden} more; {job.out.name}.journal has them all", file=sys.stderr)
    if result.gone:
        print(f"hem: gave up: {result.gone}", file=sys.stderr)


def _facts(job: Job, result: Result) -> dict[str, Any]:
    return {
        "out": str(job.out),
        "scorer": job.scorer,
        **asdict(result.summary),
        "asked": result.asked,
        "failures": [asdict(failure) for failure in result.failures],
        "gone": result.gone,
    }


def _text(job: Job, result: Result) -> str:
    summary = result.summary
    if summary.edge is None or summary.cloud is None or summary.hard_share is None:
        return f"no labels; {counted(result.asked, 'answer')} asked for"
    return (
        f"{counted(summary.rows, 'label')} in {job.out}, "
        f"{counted(result.asked, 'answer')} asked for\n"
        f"  {job.scorer}: edge {summary.edge:.4g}, cloud {summary.cloud:.4g}, "
        f"hard {summary.hard_share:.1%}\n"
        f"  not read, and so counted as wrong: edge {summary.edge_unread}, "
        f"cloud {summary.cloud_unread}"
    )


def _warn_of_unread(job: Job, result: Result) -> None:
    summary = result.summary
    for side, unread in (("edge", summary.edge_unread), ("cloud", summary.cloud_unread)):
        if summary.rows and unread / summary.rows > _MANY_UNREAD:
            print(
                f"hem: warning: {job.scorer} found no answer in {unread} of {summary.rows} of the "
                f"{side}'s texts ({unread / summary.rows:.1%}), and counts them as wrong: see "
                f"the rows with {side}_unread in {job.out}; docs/labels.md says what it reads",
                file=sys.stderr,
            )
