"""`hem evaluate`."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inferencegraph.commands.options import DEFAULT_URL, AsJson
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.evaluate.benchmark import Benchmark

_DEFAULT_QUESTIONS = 500


def evaluate(
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--filename",
            metavar="PATH",
            help="A benchmark: data, systems, whom to ask; see docs/evaluation.md.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="A running graph, instead of one that is started.", show_default=False),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(help="A running gateway, asked by chats in streams.", show_default=False),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="JSONL rows {query, answer} or {inputs, answer}, as hem import and hem label "
            "write them. Default: shipped questions.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="So many of the questions, drawn by --seed.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, show_default=False, help="Of draws (0).")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Questions at a time (8).", show_default=False)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Questions a second, instead of --concurrency.", show_default=False),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="A price file: what tokens cost, by model.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder for rows, tables and report; an interrupted run goes on there. "
            "Default: results/NAME-TIME.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compares ways to route: quality, edge share, latency, tokens and cost, with intervals.

    Without options it starts the shipped example and asks it 500 of the shipped questions. Table,
    rank.csv, JSON and an HTML report are in the folder that it names.

    Example: `hem evaluate --url http://127.0.0.1:8080 --limit 200`
    """
    from inferencegraph.commands.running import run_until_signal
    from inferencegraph.evaluate.store import new_folder

    benchmark = _benchmark(file, url, gateway, data, limit)
    given: dict[str, Any] = {"limit": limit, "seed": seed, "concurrency": concurrency}
    given |= {"rate": rate, "prices": prices}
    chosen = {name: value for name, value in given.items() if value is not None}
    benchmark = benchmark.model_copy(update=chosen)
    folder = out or new_folder(benchmark.name, datetime.now())
    result = run_until_signal(lambda: _run(benchmark, folder))
    if result is None:
        if _began(folder):
            print(f"hem: interrupted; --out {folder} goes on from there", file=sys.stderr)
        raise typer.Abort
    _print(result, folder, as_json)


def _benchmark(
    file: Path | None,
    url: str | None,
    gateway: str | None,
    data: list[Path] | None,
    limit: int | None,
) -> "Benchmark":
    from inferencegraph.evaluate.benchmark import Benchmark, Data, read_benchmark
    from inferencegraph.local.stack import EXAMPLE
    from predictors.upstream.ask import check_url

    if url is not None and gateway is not None:
        raise ConfigurationError("--url and --gateway: give one of them")
    where = url or gateway
    if where is not None:
        check_url(where, "--gateway" if gateway else "--url", DEFAULT_URL)
    asked: dict[str, Any] = {"url": where, "through": "gateway" if gateway else "graph"}
    sets: dict[str, Any] = {"data": tuple(Data(file=path) for path in data)} if data else {}
    if file is not None:
        benchmark = read_benchmark(file).model_copy(update=sets)
        return (
            benchmark
            if where is None
            else benchmark.model_copy(update={**asked, "manifests": (), "spec": None})
        )
    if where is not None:
        return Benchmark.model_validate({"name": "evaluation", **asked, **sets})
    drawn = {} if data or limit else {"limit": _DEFAULT_QUESTIONS}
    example = {"name": "embedded pair", "manifests": (EXAMPLE,)}
    return Benchmark.model_validate({**example, **sets, **drawn})


async def _run(benchmark: "Benchmark", folder: Path) -> dict[str, Any]:
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.result import facts
    from inferencegraph.evaluate.run import Watcher, run
    from inferencegraph.evaluate.store import write

    with Progress() as progress:
        watcher = Watcher(progress.begin, progress.one_more)
        finished = await run(benchmark, folder, watcher)
    result = {**facts(finished), "folder": str(folder)}
    write(result, folder)
    return result


def _began(folder: Path) -> bool:
    from inferencegraph.evaluate.records import ROWS

    return any((folder / ROWS).glob("*.jsonl"))


def _print(result: dict[str, Any], folder: Path, as_json: bool) -> None:
    from rich.console import Console

    from inferencegraph.evaluate.leaderboard import table
    from inferencegraph.evaluate.report.verdict import verdict
    from inferencegraph.evaluate.store import REPORT

    for system in result["systems"]:
        for error, count in system["errors"].items() if system["measured"] else ():
            print(f"hem: {system['name']}: {count} failed: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(result))
        return
    # A pipe has no width of its own; a table cut to 80 columns is of no use there.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table(result, console.width))
    for sentence in verdict(result):
        console.print(sentence)
    console.print(f"\nreport: {folder / REPORT}", soft_wrap=True)
