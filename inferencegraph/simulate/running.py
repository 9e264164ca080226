"""One run: each query's way through its site, and what became of it."""

import math
from dataclasses import dataclass
from random import Random

from simpy import Environment

from inferencegraph.build.mining import QUERY_STAGE
from inferencegraph.simulate.scenario import Model, Scenario, Site
from inferencegraph.simulate.station import Station, Way
from inferencegraph.simulate.uplink import Replicas, Uplink
from predictors.contract import CLOUD, EDGE


@dataclass(slots=True)
class Query:
    """`came` and `ended`: seconds of the run. served_by: the side that answered; None: nobody, an
    error. failure: why the cloud did not, where it was asked."""

    came: float
    hard: bool
    ended: float = math.nan
    served_by: str | None = None
    failure: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.came


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Shares of the places, over the counted time."""

    mining: float
    edge: float
    uplink: float


@dataclass(frozen=True, slots=True)
class Run:
    """By site its queries, in the order in which they came, those of the warm-up too."""

    scenario: Scenario
    queries: dict[str, list[Query]]
    utilisation: dict[str, Utilisation]
    cloud_utilisation: list[float]  # of each replica


def simulate(scenario: Scenario) -> Run:
    env = Environment()

    def station(places: int) -> Station:
        return Station(env, places, scenario.warm_up, scenario.end)

    def stations(model: Model, count: int) -> list[Station]:
        return [station(model.places) for _ in range(count)]

    cloud = Replicas(scenario.cloud, stations(scenario.cloud.model, scenario.cloud.replicas))
    sites = []
    for site in scenario.sites:
        random = Random(f"{scenario.seed}/{site.name}")
        uplink = Uplink(env, site.uplink, station(site.uplink.max_concurrency), cloud, random)
        edge, mining = station(site.edge.places), station(1)
        sites.append(RunningSite(env, site, random, mining, edge, uplink))
    for running in sites:
        # Of its own, so that the same queries meet whatever else the scenario says.
        traffic = Random(f"{scenario.seed}/{running.site.name}/traffic")
        env.process(running.queries_come(traffic, scenario.end))
    env.run()
    return Run(
        scenario,
        {running.site.name: running.queries for running in sites},
        {running.site.name: running.utilisation() for running in sites},
        [replica.utilisation for replica in cloud.stations],
    )


class RunningSite:
    def __init__(
        self,
        env: Environment,
        site: Site,
        random: Random,
        mining: Station,
        edge: Station,
        uplink: Uplink,
    ) -> None:
        self.site = site
        self.queries: list[Query] = []
        self._env = env
        self._random = random
        self._mining = mining
        self._edge = edge
        self._uplink = uplink
        self._way = self._query_stage if site.mode == QUERY_STAGE else self._answer_stage

    def utilisation(self) -> Utilisation:
        stations = (self._mining, self._edge, self._uplink.places)
        return Utilisation(*(each.utilisation for each in stations))

    def queries_come(self, traffic: Random, end: float) -> Way[None]:
        while True:
            yield self._env.timeout(traffic.expovariate(self.site.rate))
            if self._env.now >= end:
                return
            query = Query(self._env.now, traffic.random() < self.site.hard)
            self.queries.append(query)
            self._env.process(self._answered(query))

    def _answered(self, query: Query) -> Way[None]:
        yield self._env.timeout(self.site.overhead.draw(self._random))
        query.served_by = yield from self._way(query)
        query.ended = self._env.now

    def _query_stage(self, query: Query) -> Way[str | None]:
        """As mining_then_inference of inferencegraph.build.graph."""
        yield from self._mined()
        if query.hard and (yield from self._asked_cloud(query)):
            return CLOUD
        return EDGE if (yield from self._asked_edge()) else None

    def _answer_stage(self, query: Query) -> Way[str | None]:
        """As inference_then_mining of inferencegraph.build.graph: the edge that stands in for the
        cloud computes its answer again."""
        if not (yield from self._asked_edge()):
            return None
        yield from self._mined()
        if not query.hard:
            return EDGE
        if (yield from self._asked_cloud(query)):
            return CLOUD
        return EDGE if (yield from self._asked_edge()) else None

    def _mined(self) -> Way[bool]:
        return self._mining.serve(self.site.mining.draw(self._random))

    def _asked_edge(self) -> Way[bool]:
        until = self._env.now + self.site.step_seconds
        return self._edge.serve(self.site.edge.seconds.draw(self._random), until)

    def _asked_cloud(self, query: Query) -> Way[bool]:
        query.failure = yield from self._uplink.call(self.site.round_trip.draw(self._random))
        return not query.failure
