"""`hem label`."""

import json
import re
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inferencegraph.commands.options import (
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopP,
    chosen,
)
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.labels.job import Job, Result

UNLABELLED = 1
INTERRUPTED = 130
_SHOWN_FAILURES = 20
_MANY_UNREAD = 0.05  # of one side's answers: from here on labels say more of the reading than of it


def label(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {id?, query, reference}; edge_answer and cloud_answer, where a row "
            "has them, are not asked for.",
            show_default=False,
        ),
    ],
    scorer: Annotated[
        str,
        typer.Option(
            help="One of {transformers_hem.labels.scorers:SCORERS}.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Gets the labels, JSONL.", show_default=False)],
    edge: Annotated[
        str | None, typer.Option(help="Edge's /v2/models/NAME/infer.", show_default=False)
    ] = None,
    cloud: Annotated[
        str | None, typer.Option(help="Cloud's /v2/models/NAME/infer.", show_default=False)
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Instead of both: a graph.", show_default=False)
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of the scorer, name=value; repeatable.", show_default=False),
    ] = None,
    epsilon: Annotated[
        float, typer.Option(min=0, help="Hard: the edge's score is below the cloud's by more.")
    ] = 0.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions at a time.")] = 8,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Only so many rows: the first, or with --seed drawn.", show_default=False
        ),
    ] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Seed = None,
    prefix_tokens: Annotated[
        str | None,
        typer.Option(
            help="Also store how sure the edge was of the first tokens of its answer, for each of "
            "these numbers of them, as 8,16,32: for rules that decide while it streams. Asks "
            "--edge for chats.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of one attempt.")] = 120.0,
    attempts: Annotated[
        int, typer.Option(min=1, help="Where trying again can help: unreachable, 502 to 504.")
    ] = 4,
    mixinstruct: Annotated[
        bool,
        typer.Option(
            "--from-mixinstruct",
            help="Asks nothing: --edge and --cloud are models of MixInstruct's rows in --data, "
            "--scorer one of their scores, or comparison.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Asks both models a file of questions, scores the answers and writes rows for `hem train`.

    The same command goes on where it was stopped: nothing is asked twice.

    Example: `hem label --data queries.jsonl --url http://127.0.0.1:8080 --scorer numeric
    --out labels.jsonl`
    """
    sizes = _sizes(prefix_tokens)
    if mixinstruct:
        if sizes:
            raise ConfigurationError("--prefix-tokens needs models to ask: MixInstruct tells none")
        _convert(data, out, edge, cloud, scorer, as_json)
        return
    from transformers_hem.labels.asking import Models
    from transformers_hem.labels.job import Job

    parameters = chosen(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    asks = any((edge, cloud, url))
    if sizes and not asks:
        raise ConfigurationError("--prefix-tokens needs models to ask: give --edge and --cloud")
    models = Models.at(edge, cloud, url, parameters, sizes) if asks else None
    job = Job(
        data,
        out,
        scorer,
        option or (),
        models,
        epsilon,
        concurrency,
        limit,
        seed,
        timeout,
        attempts,
    )
    _run(job, as_json)


def _sizes(given: str | None) -> tuple[int, ...]:
    """Numbers of tokens, ascending."""
    if given is None:
        return ()
    numbers = [each.strip() for each in given.split(",")]
    if not all(re.fullmatch("[1-9][0-9]{0,5}", each) for each in numbers):
        raise ConfigurationError(
            f"--prefix-tokens {given!r} must be numbers of tokens with commas between them, as "
            "8,16,32"
        )
    return tuple(sorted({int(each) for each in numbers}))


def _convert(
    data: Path, out: Path, edge: str | None, cloud: str | None, score: str, as_json: bool
) -> None:
    from transformers_hem.labels.mixinstruct import convert

    if edge is None or cloud is None:
        raise ConfigurationError("--from-mixinstruct needs --edge and --cloud, two models' names")
    rows, skipped = convert(data, out, edge, cloud, score)
    if as_json:
        print(json.dumps({"out": str(out), "scorer": score, "rows": rows, "skipped": skipped}))
    else:
        print(f"{rows} labels in {out}, {skipped} rows have no such comparison")


def _run(job: "Job", as_json: bool) -> None:
    from inferencegraph.commands.running import Progress, run_until_second_signal
    from transformers_hem.labels.job import Watcher, label as ask_and_score

    task = "labelling"
    with Progress() as progress:
        result, stopped = run_until_second_signal(
            lambda stop: ask_and_score(
                job, Watcher(partial(progress.begin, task), partial(progress.one_more, task), stop)
            )
        )
    if result is None:
        raise typer.Abort
    print(json.dumps(_facts(job, result)) if as_json else _text(job, result))
    _warn_of_unread(job, result)
    for failure in result.failures[:_SHOWN_FAILURES]:
        print(f"hem: {failure.id}: {failure.reason}", file=sys.stderr)
    if len(result.failures) > _SHOWN_FAILURES:
        hidden = len(result.failures) - _SHOWN_FAILURES
        print(f"hem: and {hidden} more; {job.out.name}.journal has them all", file=sys.stderr)
    if result.gone:
        print(f"hem: gave up: {result.gone}", file=sys.stderr)
    if result.summary.missing:
        missing = f"{result.summary.missing} questions have no labels; the same command goes on"
        print(f"hem: error: {missing}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED if stopped else UNLABELLED)


def _facts(job: "Job", result: "Result") -> dict[str, Any]:
    return {
        "out": str(job.out),
        "scorer": job.scorer,
        **asdict(result.summary),
        "asked": result.asked,
        "failures": [asdict(failure) for failure in result.failures],
        "gone": result.gone,
    }


def _text(job: "Job", result: "Result") -> str:
    summary = result.summary
    if summary.edge is None or summary.cloud is None or summary.hard_share is None:
        return f"no labels; {result.asked} answers asked for"
    return (
        f"{summary.rows} labels in {job.out}, {result.asked} answers asked for\n"
        f"  {job.scorer}: edge {summary.edge:.4g}, cloud {summary.cloud:.4g}, "
        f"hard {summary.hard_share:.1%}\n"
        f"  not read, and so counted as wrong: edge {summary.edge_unread}, "
        f"cloud {summary.cloud_unread}"
    )


def _warn_of_unread(job: "Job", result: "Result") -> None:
    summary = result.summary
    for side, unread in (("edge", summary.edge_unread), ("cloud", summary.cloud_unread)):
        if summary.rows and unread / summary.rows > _MANY_UNREAD:
            print(
                f"hem: warning: {job.scorer} found no answer in {unread} of {summary.rows} of the "
                f"{side}'s texts ({unread / summary.rows:.1%}), and counts them as wrong: see "
                f"the rows with {side}_unread in {job.out}; docs/labels.md says what it reads",
                file=sys.stderr,
            )
