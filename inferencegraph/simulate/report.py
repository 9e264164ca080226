"""What came out of a run, by site and over all."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inferencegraph.simulate.running import Query, Run, Utilisation
from inferencegraph.simulate.scenario import Scenario
from predictors.contract import EDGE


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a query's coming to its answer; NaN where there is none."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Served:
    """Of the queries that came in the counted time, each followed to its end.

    came = answered + failed. edge_share: of the answers. degraded: those of the edge that the cloud
    should have given, and why it did not (`failures`, in the words of the uplink's metrics).
    throughput: answers a second in the counted time; under_way: without one at its end.
    """

    came: int
    answered: int
    failed: int
    edge_share: float
    degraded: int
    failures: dict[str, int]
    throughput: float
    under_way: int
    latency: Latency


@dataclass(frozen=True, slots=True)
class SiteReport:
    name: str
    served: Served
    utilisation: Utilisation


@dataclass(frozen=True, slots=True)
class Report:
    """cloud_utilisation: of each replica."""

    served: Served
    cloud_utilisation: list[float]
    sites: list[SiteReport]


def report(run: Run) -> Report:
    everything = [query for queries in run.queries.values() for query in queries]
    return Report(
        served(everything, run.scenario),
        run.cloud_utilisation,
        [
            SiteReport(name, served(queries, run.scenario), run.utilisation[name])
            for name, queries in run.queries.items()
        ],
    )


def served(queries: Sequence[Query], scenario: Scenario) -> Served:
    begin, end = scenario.warm_up, scenario.end
    counted = [query for query in queries if query.came >= begin]
    answered = [query for query in counted if query.served_by is not None]
    edge = [query for query in answered if query.served_by == EDGE]
    in_time = sum(begin <= query.ended < end for query in queries if query.served_by is not None)
    return Served(
        came=len(counted),
        answered=len(answered),
        failed=len(counted) - len(answered),
        edge_share=len(edge) / len(answered) if answered else math.nan,
        degraded=sum(query.failure != "" for query in edge),
        failures=dict(sorted(Counter(q.failure for q in counted if q.failure).items())),
        throughput=in_time / scenario.seconds,
        under_way=sum(query.ended >= end for query in queries),
        latency=latency([query.seconds for query in answered]),
    )


def latency(seconds: Sequence[float]) -> Latency:
    if not seconds:
        return Latency(*[math.nan] * 4)
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99])
    return Latency(float(np.mean(seconds)), float(p50), float(p95), float(p99))
