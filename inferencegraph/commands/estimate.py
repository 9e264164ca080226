"""`hem estimate`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from inferencegraph.commands.options import (
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Temperature,
    TopP,
    chosen,
)
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.evaluate.estimating.job import Job
    from inferencegraph.evaluate.estimating.log import Log
    from inferencegraph.evaluate.estimating.result import Estimate
    from inferencegraph.evaluate.estimating.savings import Pricing

NOT_ENOUGH = 1
_SHOWN_ROWS = 20

_Price = tuple[float, float]


def estimate(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {query or messages, cloud_answer, reference?}, with cloud_model, "
            "cloud_prompt_tokens, cloud_completion_tokens, cloud_cost and cloud_latency as far as "
            "known: what `hem import` writes.",
            show_default=False,
        ),
    ],
    scorer: Annotated[
        str,
        typer.Option(
            help="One of {transformers_hem.labels.scorers:SCORERS}, with scores from 0 to 1.",
            show_default=False,
        ),
    ],
    edge: Annotated[
        str | None,
        typer.Option(
            help="The edge: /v2/models/NAME/infer of a predictor, /v1 of an OpenAI-compatible "
            "server, or a graph's URL. Not needed where rows have an edge_answer.",
            show_default=False,
        ),
    ] = None,
    max_quality_loss: Annotated[
        float | None,
        typer.Option(help="At most this much below cloud-only, e.g. 0.02.", show_default=False),
    ] = None,
    edge_ratio: Annotated[
        float | None,
        typer.Option(help="Instead: what is lost with this share at the edge?", show_default=False),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="That the promise holds.")
    ] = 0.9,
    precision: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Ends when the promised share is so near to the one estimated to be possible "
            "(0.1); with --edge-ratio, when the loss is known to so much on either side (0.02). "
            "Without it, half of the log is enough for a promise, too.",
            show_default=False,
        ),
    ] = None,
    about: Annotated[
        Literal["traffic", "log"] | None,
        typer.Option(
            help="What is promised of: queries like the log's, or the log itself.  "
            "[default: traffic; log with --edge-ratio]",
            show_default=False,
        ),
    ] = None,
    max_labels: Annotated[
        int | None,
        typer.Option(min=1, help="Ask the edge for at most so many.", show_default=False),
    ] = None,
    training_rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Labels to train on: by default a quarter of the log, at most 400.",
            show_default=False,
        ),
    ] = None,
    algorithm: Annotated[
        str, typer.Option(help="Trained on them; one that mines the query.")
    ] = "LinearRouter",
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement",
            help="Compare with the cloud's answers, though rows have references. Without any "
            "reference it is so anyway.",
        ),
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of the scorer, name=value; repeatable.", show_default=False),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="A price file of models (docs/gateway.md).", show_default=False),
    ] = None,
    cloud_price: Annotated[
        _Price | None,
        typer.Option(
            metavar="INPUT OUTPUT", help="Instead: for a million tokens.", show_default=False
        ),
    ] = None,
    edge_price: Annotated[
        _Price | None,
        typer.Option(metavar="INPUT OUTPUT", help="The same of the edge.", show_default=False),
    ] = None,
    currency: Annotated[str, typer.Option(help="Of prices on the command line.")] = "USD",
    per_month: Annotated[
        int | None, typer.Option(min=1, help="Queries a month.", show_default=False)
    ] = None,
    edge_model: Annotated[
        str | None,
        typer.Option(help="The edge's name, for OpenAI's API and prices.", show_default=False),
    ] = None,
    cloud_model: Annotated[
        str | None,
        typer.Option(help="The cloud's name in the prices.", show_default=False),
    ] = None,
    edge_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with the edge's API key.", show_default=False),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="A folder: router, rows, estimate.json, estimate.html.")
    ] = Path("estimate"),
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Draw so many rows of the log.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random order.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions at a time.")] = 8,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of one attempt.")] = 120.0,
    attempts: Annotated[
        int, typer.Option(min=1, help="Where trying again can help: unreachable, 502 to 504.")
    ] = 4,
    as_json: AsJson = False,
) -> None:
    """From your own log to a decision: what stays at the edge, what that saves, and how sure it is.

    Asks the edge alone, as few of the logged queries as it takes. The same command goes on where it
    was stopped. Exits with 1 where the data can't tell.

    Example: `hem estimate --data log.jsonl --edge http://127.0.0.1:8080 --scorer numeric
    --max-quality-loss 0.02 --cloud-price 2.5 10 --per-month 100000`
    """
    from inferencegraph.evaluate.estimating.aim import Aim
    from inferencegraph.evaluate.estimating.edge import open_edge
    from inferencegraph.evaluate.estimating.job import Job, require_query_stage
    from inferencegraph.evaluate.estimating.log import read_log
    from transformers_hem.labels.scorers.options import make_scorer

    aim = Aim.of(
        max_quality_loss,
        edge_ratio,
        precision,
        about,
        confidence=confidence,
        max_labels=max_labels,
        training_rows=training_rows,
        algorithm=algorithm,
        seed=_seed(seed),
    )
    require_query_stage(algorithm)
    pricing = _pricing(prices, cloud_price, edge_price, currency, cloud_model, edge_model)
    judge = make_scorer(scorer, option or ())
    log = read_log(data, judge, scorer, agreement)
    _tell_left_out(log)
    if pricing.prices is not None:
        for row in log.rows:
            pricing.of_row(row)
    parameters = chosen(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
    )
    asked = edge and open_edge(edge, edge_model, _key(edge_key_env), parameters, timeout, attempts)
    _run(
        Job(log, out, aim, judge, scorer, asked or None, pricing, limit, per_month, concurrency),
        as_json,
    )


def _seed(seed: int) -> int:
    from transformers_hem.routers.training import LARGEST_SEED

    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"a seed must be between 0 and {LARGEST_SEED}, not {seed}")
    return seed


def _key(variable: str | None) -> str:
    from predictors.upstream.openai.endpoint import check_key

    if variable is None:
        return ""
    if not (key := os.environ.get(variable, "")):
        raise ConfigurationError(f"--edge-key-env {variable}: there is no such variable")
    return check_key(key, f"--edge-key-env {variable}")


def _pricing(
    file: Path | None,
    cloud: _Price | None,
    edge: _Price | None,
    currency: str,
    cloud_model: str | None,
    edge_model: str | None,
) -> "Pricing":
    from inferencegraph.evaluate.estimating.savings import Pricing
    from predictors.prices import Price, read_prices

    if file is not None:
        if cloud or edge:
            raise ConfigurationError("give --prices, or --cloud-price and --edge-price, not both")
        read = read_prices(file)
        return Pricing(read.currency, prices=read, cloud_model=cloud_model, edge_model=edge_model)
    if edge and not cloud:
        raise ConfigurationError("--edge-price needs --cloud-price beside it")
    for name, price in (("--cloud-price", cloud), ("--edge-price", edge)):
        if price and not all(0 <= each < float("inf") for each in price):
            raise ConfigurationError(f"{name} must be two numbers from 0, not {price}")
    amounts = [Price(input=float(p[0]), output=float(p[1])) if p else None for p in (cloud, edge)]
    return Pricing(currency if cloud else "", cloud=amounts[0], edge=amounts[1])


def _tell_left_out(log: "Log") -> None:
    for each in log.left_out[:_SHOWN_ROWS]:
        print(f"hem: {each.where}: left out: {each.reason}", file=sys.stderr)
    if (hidden := len(log.left_out) - _SHOWN_ROWS) > 0:
        print(f"hem: and {hidden} more rows are left out", file=sys.stderr)


def _run(job: "Job", as_json: bool) -> None:
    from inferencegraph.commands.running import Progress, run_until_second_signal
    from inferencegraph.evaluate.estimating.job import Watcher, estimate as find
    from inferencegraph.evaluate.estimating.labelling import Stopped
    from inferencegraph.evaluate.estimating.report import write_report

    with Progress() as progress:
        try:
            found, _ = run_until_second_signal(
                lambda stop: find(
                    job,
                    Watcher(
                        progress.begin,
                        progress.one_more,
                        lambda words: print(f"hem: {words}", file=sys.stderr),
                        stop,
                    ),
                )
            )
        except Stopped:
            raise typer.Abort from None
    if found is None:
        raise typer.Abort
    write_report(found, job)
    _print(found, job, as_json)
    if found.threshold is None:
        raise typer.Exit(NOT_ENOUGH)


def _print(found: "Estimate", job: "Job", as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.facts()))
        return
    print(found.text())
    print(f"{job.out}: estimate.html to read, estimate.json", end="")
    print(f"; serve it: HEM_ROUTER={job.out / 'router'}" if found.threshold is not None else "")
