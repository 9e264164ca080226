"""`hem evaluate`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import DEFAULT_URL, AsJson

if TYPE_CHECKING:
    from inferencegraph.evaluate.benchmark import Benchmark
    from inferencegraph.evaluate.comparison import Comparison
    from inferencegraph.evaluate.outcome import Item


def evaluate(
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--filename",
            metavar="PATH",
            help="A benchmark: starts its manifests, asks, stops them.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[str, typer.Option(help="A running graph; unused with -f.")] = DEFAULT_URL,
    data: Annotated[
        Path | None,
        typer.Option(
            help="JSONL rows {query, answer} or {inputs, answer}; reference is the same as answer. "
            "Default: shipped questions.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first questions.", show_default=False)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Questions at a time (8).", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Accuracy, edge share and latency of a graph, beside edge only and cloud only.

    Example: `hem evaluate --url http://127.0.0.1:8080 --limit 200`
    """
    from inferencegraph.commands.running import run_until_signal
    from inferencegraph.evaluate.benchmark import read_benchmark, read_questions
    from predictors.upstream.ask import check_url

    benchmark = read_benchmark(file) if file else None
    items = read_questions(data or (benchmark.data if benchmark else None), limit)
    places = concurrency or (benchmark.concurrency if benchmark else 8)
    if benchmark:
        comparison = run_until_signal(lambda: _start_and_compare(benchmark, items, places))
    else:
        check_url(url, "--url", DEFAULT_URL)
        comparison = run_until_signal(lambda: _compare(url, items, places))
    if comparison is None:
        raise typer.Abort
    _print(comparison, benchmark.name if benchmark else "evaluation", as_json)


async def _start_and_compare(
    benchmark: "Benchmark", items: "list[Item]", concurrency: int
) -> "Comparison":
    from inferencegraph.local.observer import TextObserver
    from inferencegraph.local.stack import running

    observer = TextObserver(logs=False)
    async with running(benchmark.manifests, observer, graph=benchmark.graph) as stack:
        return await _compare(stack.urls[0], items, concurrency)


async def _compare(url: str, items: "list[Item]", concurrency: int) -> "Comparison":
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.comparison import compare

    with Progress() as progress:

        def on_answer(run: str) -> None:
            progress.begin(run, len(items))
            progress.one_more(run)

        return await compare(url, items, concurrency, on_answer)


def _print(comparison: "Comparison", title: str, as_json: bool) -> None:
    from rich.console import Console

    from inferencegraph.evaluate.comparison import table

    for error, count in comparison.errors().items():
        print(f"hem: {count} failed: {error}", file=sys.stderr)
    if as_json:
        print(json.dumps(comparison.facts()))
    else:
        # A pipe has no width of its own; a table cut to 80 columns is of no use there.
        console = Console(width=None if sys.stdout.isatty() else 140)
        console.print(table(comparison, title, console.width))
