"""What `hem estimate` does once its options are read: the job, its progress, its report."""

import json
import os
import sys
from pathlib import Path
from typing import Final

import typer

from inferencegraph.commands import estimate_options as given
from inferencegraph.commands.running import Progress, run_until_second_signal
from inferencegraph.evaluate.estimating.job import Job, Watcher, estimate as find
from inferencegraph.evaluate.estimating.labelling import Stopped
from inferencegraph.evaluate.estimating.log import Log
from inferencegraph.evaluate.estimating.report import write_report
from inferencegraph.evaluate.estimating.result import Estimate
from inferencegraph.evaluate.estimating.savings import Pricing
from predictors.errors import ConfigurationError
from predictors.prices import Price, read_prices
from predictors.upstream.openai.endpoint import check_key
from transformers_hem.routers.training import LARGEST_SEED

NOT_ENOUGH: Final = 1
_SHOWN_ROWS: Final = 20


def read_seed(seed: int) -> int:
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"a seed must be between 0 and {LARGEST_SEED}, not {seed}")
    return seed


def read_key(variable: str | None) -> str:
    if variable is None:
        return ""
    if not (key := os.environ.get(variable, "")):
        raise ConfigurationError(f"--edge-key-env {variable}: there is no such variable")
    return check_key(key, f"--edge-key-env {variable}")


def read_pricing(
    file: Path | None,
    cloud: given.Price | None,
    edge: given.Price | None,
    currency: str,
    cloud_model: str | None,
    edge_model: str | None,
) -> Pricing:
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


def require_prices(pricing: Pricing, log: Log) -> None:
    """Raises ConfigurationError for a row whose model has no price."""
    if pricing.prices is not None:
        for row in log.rows:
            pricing.of_row(row)


def tell_left_out(log: Log) -> None:
    for each in log.left_out[:_SHOWN_ROWS]:
        print(f"hem: {each.where}: left out: {each.reason}", file=sys.stderr)
    if (hidden := len(log.left_out) - _SHOWN_ROWS) > 0:
        print(f"hem: and {hidden} more rows are left out", file=sys.stderr)


def run_job(job: Job, as_json: bool) -> None:
    def said(words: str) -> None:
        print(f"hem: {words}", file=sys.stderr)

    with Progress() as progress:
        begin, one_more = progress.begin, progress.one_more
        try:
            found, _ = run_until_second_signal(
                lambda stop: find(job, Watcher(begin, one_more, said, stop))
            )
        except Stopped:
            raise typer.Abort from None
    if found is None:
        raise typer.Abort
    write_report(found, job)
    _print(found, job, as_json)
    if found.threshold is None:
        raise typer.Exit(NOT_ENOUGH)


def _print(found: Estimate, job: Job, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.facts()))
        return
    print(found.text())
    print(f"{job.out}: estimate.html to read, estimate.json", end="")
    print(f"; serve it: HEM_ROUTER={job.out / 'router'}" if found.threshold is not None else "")
