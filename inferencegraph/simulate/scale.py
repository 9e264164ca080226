"""The tables of docs/scale.md.

python -m inferencegraph.simulate.scale              all of them, in some minutes
python -m inferencegraph.simulate.scale --nodes 10   of so many nodes alone
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from inferencegraph.simulate.objects import objects_of
from inferencegraph.simulate.report import Report, report
from inferencegraph.simulate.running import simulate
from inferencegraph.simulate.scenario import LEAST_BUSY, RANDOM, Cloud, Model, Scenario, Site
from inferencegraph.simulate.times import Constant, Lognormal
from predictors.serving.command import run
from predictors.upstream.settings import Limits

NODES: Final = (10, 100, 1000)
NODE: Final = Site(
    "node",
    rate=0.5,
    hard=0.3,
    edge=Model(4, Lognormal(1.0, 0.6)),
    mining=Constant(0.001),
    overhead=Constant(0.004),
    round_trip=Constant(0.04),
)
REPLICA: Final = Model(16, Lognormal(2.5, 0.6))
# By the number of nodes; they need 0.23, 2.3 and 23.4.
REPLICAS: Final = {10: (1, 2), 100: (3, 4), 1000: (24, 26, 32)}

OBJECTS: Final = (
    *("nodes", "InferenceServices, graphs", "Deployments, ReplicaSets, pods: each"),
    *("Services, EndpointSlices, Endpoints: each", "autoscalers, Ingresses", "objects", "MB"),
)
LOAD: Final = (
    *("nodes", "replicas", "busy", "chosen", "answers/s", "p50", "p95", "p99", "cloud answers"),
)
TROUBLE: Final = (
    *("what happens", "answers/s", "p50", "p95", "p99", "degraded", "failed", "edge busy"),
    "cloud busy",
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong, and what was set against it."""

    name: str
    site: Site
    replicas: int


def troubles() -> Iterator[Trouble]:
    """Of 100 nodes, which need 2.3 replicas."""
    late = Limits(timeout=10.0)
    few = Limits(timeout=10.0, max_concurrency=2, max_queue=0)
    drifted = replace(NODE, hard=0.45)
    small = Model(1, NODE.edge.seconds)
    yield Trouble("3 replicas, nothing happens", NODE, 3)
    yield Trouble("the same, 2 calls at once and no queue", replace(NODE, uplink=few), 3)
    yield Trouble("2 replicas", NODE, 2)
    yield Trouble("the same, timeout 30", replace(NODE, uplink=Limits(timeout=30.0)), 2)
    yield Trouble("the same, timeout 10", replace(NODE, uplink=late), 2)
    yield Trouble("the same, 2 calls at once and no queue", replace(NODE, uplink=few), 2)
    yield Trouble("3 replicas, 45% hard", drifted, 3)
    yield Trouble("the same, timeout 10", replace(drifted, uplink=late), 3)
    yield Trouble("the same, one place at the edge", replace(drifted, uplink=late, edge=small), 3)


def alike(site: Site, nodes: int, cloud: Cloud) -> Report:
    sites = tuple(replace(site, name=f"node-{number}") for number in range(1, nodes + 1))
    return report(simulate(Scenario(sites, cloud, seconds=600.0, warm_up=300.0)))


def object_row(nodes: int) -> list[str]:
    found = objects_of(nodes)
    applied, made = found.applied, found.by_kserve
    return [
        f"{nodes:,}",
        f"{applied['InferenceService']:,}, {applied['InferenceGraph']:,}",
        f"{made['Deployment']:,}",
        f"{made['Service']:,}",
        f"{made['HorizontalPodAutoscaler']:,}, {made['Ingress']:,}",
        f"{found.all:,}",
        f"{found.megabytes:.1f}",
    ]


def load_rows(nodes: int) -> Iterator[list[str]]:
    for replicas in REPLICAS[nodes]:
        for balancing in (RANDOM, LEAST_BUSY) if replicas > 1 else (RANDOM,):
            found = alike(NODE, nodes, Cloud(REPLICA, replicas, balancing))
            cloud = 1 - found.served.edge_share
            yield [
                *(f"{nodes:,}", f"{replicas}", _busy(found), balancing),
                *(*_speed(found), _percent(cloud)),
            ]


def trouble_rows() -> Iterator[list[str]]:
    for trouble in troubles():
        found = alike(trouble.site, 100, Cloud(REPLICA, trouble.replicas))
        served = found.served
        edge = sum(site.utilisation.edge for site in found.sites) / len(found.sites)
        shares = (served.degraded / served.came, served.failed / served.came, edge)
        yield [trouble.name, *_speed(found), *map(_percent, shares), _busy(found)]


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _speed(found: Report) -> list[str]:
    latency = found.served.latency
    seconds = (latency.p50, latency.p95, latency.p99)
    return [f"{found.served.throughput:.1f}", *(f"{each:.1f} s" for each in seconds)]


def _busy(found: Report) -> str:
    return _percent(sum(found.cloud_utilisation) / len(found.cloud_utilisation))


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m inferencegraph.simulate.scale", description="The tables of docs/scale.md."
    )
    parser.add_argument("--nodes", type=int, choices=NODES, help="of so many nodes alone")
    chosen = parser.parse_args().nodes
    nodes = NODES if chosen is None else (chosen,)
    _print(OBJECTS, map(object_row, nodes))
    _print(LOAD, (row for count in nodes for row in load_rows(count)))
    if 100 in nodes:
        _print(TROUBLE, trouble_rows())


def _print(heads: Sequence[str], rows: Iterator[list[str]]) -> None:
    print(line(heads), line(["---"] * len(heads)), sep="\n")
    for row in rows:
        print(line(row), flush=True)
    print()


if __name__ == "__main__":
    run(_main)
