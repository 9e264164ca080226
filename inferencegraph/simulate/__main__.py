"""Simulates sites that are all alike, and the cloud that they share.

    python -m inferencegraph.simulate --nodes 100 --rate 0.5 --hard 0.3 --cloud-replicas 3

A TIME is seconds (0.2), exponential:MEAN, lognormal:MEAN,VARIATION (the standard deviation, in
means), or measured:FILE (seconds, one a line). docs/scale.md says what the simulation leaves out.
"""

import argparse
import dataclasses
from dataclasses import replace

import orjson

from inferencegraph.build.mining import MINING_MODES, QUERY_STAGE
from inferencegraph.build.sites import DEFAULT_TIMEOUTS
from inferencegraph.simulate.scenario import BALANCING, RANDOM, Cloud, Model, Scenario, Site
from inferencegraph.simulate.times import parse_times
from predictors.errors import ConfigurationError
from predictors.serving.command import run
from predictors.upstream.settings import Limits


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inferencegraph.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--nodes", type=int, default=1, help="edge nodes, each with a site (1)")
    add("--rate", type=float, required=True, help="queries a second at each node (Poisson)")
    add("--hard", type=float, required=True, help="share of queries that mining sends to the cloud")
    add(
        "--mode",
        choices=MINING_MODES,
        default=QUERY_STAGE,
        help=f"({QUERY_STAGE}); what a strategy of self-design takes is not simulated",
    )
    add("--mining", default="0.001", metavar="TIME", help="of one decision (0.001)")
    add("--overhead", default="0.004", metavar="TIME", help="of the graph's hops together (0.004)")
    add("--edge", default="exponential:1", metavar="TIME", help="of an edge answer (exponential:1)")
    add("--edge-places", type=int, default=4, metavar="N", help="edge answers at once (4)")
    add("--round-trip", default="0.04", metavar="TIME", help="from edge to cloud and back (0.04)")
    add("--cloud", default="exponential:2", metavar="TIME", help="of an answer (exponential:2)")
    add("--cloud-replicas", type=int, default=1, metavar="N")
    add("--cloud-places", type=int, default=16, metavar="N", help="answers at once, a replica (16)")
    add("--balancing", choices=BALANCING, default=RANDOM, help=f"among replicas ({RANDOM})")
    limits = parser.add_argument_group("the uplink's limits", "by default a predictor's own")
    for name, kind in (
        ("timeout", float),
        ("queue_timeout", float),
        ("max_concurrency", int),
        ("max_queue", int),
        ("breaker_failures", int),
        ("breaker_seconds", float),
    ):
        field = Limits.model_fields[name]
        limits.add_argument(
            f"--uplink-{name.replace('_', '-')}",
            type=kind,
            default=field.default,
            metavar="N" if kind is int else "SECONDS",
            help=f"{field.description} ({field.default:g})" if field.default else field.description,
        )
    add(
        "--step-seconds",
        type=float,
        default=DEFAULT_TIMEOUTS.service_client,
        metavar="SECONDS",
        help="the graph's limit on a step, serviceClient",
    )
    add("--seconds", type=float, default=600, help="that are counted (600)")
    add("--warm-up", type=float, default=60, metavar="SECONDS", help="before them (60)")
    add("--seed", type=int, default=0)
    add("--sites", type=int, default=3, metavar="N", help="slowest sites that are shown (3)")
    add("--json", action="store_true", help="print all as JSON, each site too")
    return parser


def scenario_of(given: argparse.Namespace) -> Scenario:
    """Raises ConfigurationError."""
    if given.nodes < 1:
        raise ConfigurationError(f"--nodes is 1 at least, not {given.nodes}")
    prefix = "uplink_"
    named = {n.removeprefix(prefix): v for n, v in vars(given).items() if n.startswith(prefix)}
    try:
        limits = Limits(**named)
    except ValueError as error:
        raise ConfigurationError(f"the uplink's limits: {error}") from None
    site = Site(
        "node",
        given.rate,
        given.hard,
        Model(given.edge_places, parse_times(given.edge)),
        parse_times(given.mining),
        parse_times(given.overhead),
        parse_times(given.round_trip),
        limits,
        given.mode,
        given.step_seconds,
    )
    cloud = Model(given.cloud_places, parse_times(given.cloud))
    return Scenario(
        tuple(replace(site, name=f"node-{number}") for number in range(1, given.nodes + 1)),
        Cloud(cloud, given.cloud_replicas, given.balancing),
        given.seconds,
        given.warm_up,
        given.seed,
    )


def main() -> None:
    given = options().parse_args()
    scenario = scenario_of(given)
    try:
        from inferencegraph.simulate.report import report
        from inferencegraph.simulate.running import simulate
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"simulating needs {missing.name}: pip install 'kserve-hem[simulation]'"
        ) from missing
    from rich.console import Console

    from inferencegraph.simulate.table import table

    with Console(stderr=True).status("simulating"):
        found = report(simulate(scenario))
    if given.json:
        print(orjson.dumps(dataclasses.asdict(found), option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(table(found, given.sites))


if __name__ == "__main__":
    run(main)
