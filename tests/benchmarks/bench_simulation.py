"""The simulation beside the real thing: two sites and the cloud that they share, by `hem up`.

Routers, HEM and uplinks are the real ones, each a process; the models take places and time, and no
computation (queueing_engine). What the simulation needs to know is measured at the first load
alone.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from inferencegraph.build.mining import QUERY_STAGE, Mining
from inferencegraph.build.pods import Resources
from inferencegraph.build.services import cloud_service, site_manifests
from inferencegraph.build.sites import (
    DEFAULT_IMAGES,
    CloudAddress,
    Model as SiteModel,
    Site as RealSite,
    predictor_url,
)
from inferencegraph.simulate.report import Latency, Served, latency, report
from inferencegraph.simulate.running import simulate
from inferencegraph.simulate.scenario import Cloud, Model, Scenario, Site
from inferencegraph.simulate.times import Constant, Measured, parse_times
from predictors.contract import HEM_ROUTE, SERVED_BY, text_request
from predictors.embedded.workshop.questions import test_questions
from tests.conftest import ROOT
from tests.inferencegraph.running_hem import RunningHem

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

SITES = ("north", "south")
CLOUD = "shared-cloud"
EDGE_PLACES, EDGE_TIMES = 2, "lognormal:0.15,0.5"
CLOUD_PLACES, CLOUD_TIMES = 4, "lognormal:0.3,0.5"
# Shares of the rate at which a model has no free place left, and for how many seconds each is
# measured. The simulation is fitted to the first. A busy queue forgets slowly, so it takes longer.
LOADS = {0.6: 300.0, 0.3: 150.0, 0.8: 400.0}
WARM_UP = 20.0
SIMULATED_SECONDS = 20_000.0
WITHIN = 0.15
ENGINE = "tests.benchmarks.queueing_engine:QueueingEngine"


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. `waited` and `took`: seconds at the model that answered."""

    site: str
    came: float
    ended: float
    served_by: str
    waited: float
    took: float

    @property
    def seconds(self) -> float:
        return self.ended - self.came

    @property
    def cloud(self) -> bool:
        return self.served_by == CLOUD

    @property
    def overhead(self) -> float:
        return max(0.0, self.seconds - self.waited - self.took)


def manifests(folder: Path) -> Path:
    model = SiteModel(Resources("1", "1Gi"), directory="none", engine=ENGINE)
    mining = Mining(QUERY_STAGE, "LinearRouter", router="embedded:linear", gateway=False)
    cloud = CloudAddress(predictor_url(CLOUD), CLOUD)
    documents = [cloud_service(CLOUD, model, DEFAULT_IMAGES)]
    for name in SITES:
        documents += site_manifests(RealSite(name), model, mining, cloud)
    for document in documents:
        name = document["metadata"]["name"]
        if name == CLOUD or name.endswith("-edge"):
            known = (CLOUD_PLACES, CLOUD_TIMES) if name == CLOUD else (EDGE_PLACES, EDGE_TIMES)
            _take_time(document, name, *known)
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def _take_time(document: dict[str, Any], name: str, places: int, times: str) -> None:
    (container,) = document["spec"]["predictor"]["containers"]
    options = {"model_name": name, "engine": ENGINE, "places": places, "seconds": times}
    container["args"] = [f"--{option}={value}" for option, value in options.items()]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHem]:
    path = manifests(tmp_path_factory.mktemp("manifests"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        running = RunningHem(["--no-restart", "-f", str(path)])
    with running:
        yield running


async def ask(urls: dict[str, str], rate: float, seconds: float, seed: int) -> list[Asked]:
    """Those that came after the warm-up. Each site has so many queries a second (Poisson), whatever
    the answers take; seconds count from when a query was due."""
    bodies = [text_request([question.query]) for question in test_questions()]
    asked: list[Asked] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(site: str, body: dict[str, Any], due: float) -> None:
            async with session.post(urls[site], json=body) as response:
                answer = await response.json()
                assert response.status == 200, answer
            outputs = {each["name"]: each["data"][0] for each in answer["outputs"]}
            asked.append(
                Asked(
                    site,
                    due - begin,
                    time.perf_counter() - begin,
                    answer["parameters"][SERVED_BY],
                    outputs["time_to_first_token"],
                    outputs["inter_token_latency"],
                )
            )

        async def load(site: str) -> None:
            random, due = Random(f"{seed}/{site}"), begin
            async with asyncio.TaskGroup() as queries:
                while (due := due + random.expovariate(rate)) < begin + WARM_UP + seconds:
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    queries.create_task(one(site, random.choice(bodies), due))

        begin = time.perf_counter()
        await asyncio.gather(*map(load, urls))
    return [query for query in asked if query.came >= WARM_UP]


def measured(asked: Sequence[Asked], seconds: float) -> tuple[float, float, Latency]:
    """Answers a second, the edge's share, latencies."""
    in_time = sum(query.ended < WARM_UP + seconds for query in asked)
    edge = sum(not query.cloud for query in asked) / len(asked)
    return in_time / seconds, edge, latency([query.seconds for query in asked])


def fitted(asked: Sequence[Asked], hard: float, mining: float) -> Scenario:
    """What one load shows: the times of both models and of what is between them. Their places, and
    the share of hard queries, are known."""
    edge = [query for query in asked if not query.cloud]
    cloud = [query for query in asked if query.cloud]
    hops = [max(0.0, query.overhead - mining) for query in edge]
    further = mean([query.overhead for query in cloud]) - mean([query.overhead for query in edge])
    site = Site(
        "",
        rate=1.0,
        hard=hard,
        edge=Model(EDGE_PLACES, Measured([query.took for query in edge])),
        mining=Constant(mining),
        overhead=Measured(hops),
        round_trip=Constant(max(0.0, further)),
    )
    large = Model(CLOUD_PLACES, Measured([query.took for query in cloud]))
    sites = tuple(replace(site, name=name) for name in SITES)
    return Scenario(sites, Cloud(large), SIMULATED_SECONDS)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def decision_seconds(running: RunningHem) -> float:
    """Mean time of a decision so far, as HEM's metrics have it."""
    totals = dict.fromkeys(("sum", "count"), 0.0)
    for url in hem_urls(running).values():
        for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
            for sample in family.samples:
                part = sample.name.removeprefix("hem_decision_seconds_")
                if part in totals:
                    totals[part] += sample.value
    return totals["sum"] / totals["count"]


def simulated(scenario: Scenario, rate: float) -> Served:
    sites = tuple(replace(site, rate=rate) for site in scenario.sites)
    return report(simulate(replace(scenario, sites=sites))).served


def saturation(hard: float) -> float:
    """Queries a second of a site at which a model has no place left."""
    edge = EDGE_PLACES / parse_times(EDGE_TIMES).mean / (1 - hard)
    cloud = CLOUD_PLACES / parse_times(CLOUD_TIMES).mean / hard / len(SITES)
    return min(edge, cloud)


def test_p95_and_throughput_are_those_that_were_measured(running: RunningHem) -> None:
    urls = dict(zip(SITES, running.events[-1]["urls"], strict=True))
    hard = share_of_hard(running)
    scenario: Scenario | None = None
    table = Table("load", "queries", "machine", "", "answers/s", "p50", "p95", "p99", "at the edge")
    wrong = []
    for seed, (load, seconds) in enumerate(LOADS.items()):
        rate = load * saturation(hard)
        asked = asyncio.run(ask(urls, rate, seconds, seed))
        busy = f"{os.getloadavg()[0]:.1f}"
        scenario = scenario or fitted(asked, hard, decision_seconds(running))
        found = simulated(scenario, rate)
        throughput, edge, times = measured(asked, seconds)
        ratios = {"throughput": found.throughput / throughput}
        for name in ("p50", "p95", "p99"):
            ratios[name] = getattr(found.latency, name) / getattr(times, name)
        row = (f"{load:.0%}", f"{len(asked):,}", busy)
        table.add_row(*row, "measured", *_cells(throughput, times), f"{edge:.1%}")
        simulated_cells = _cells(found.throughput, found.latency)
        table.add_row("", "", "", "simulated", *simulated_cells, f"{found.edge_share:.1%}")
        shown = [f"{ratio:.3f}" for ratio in ratios.values()]
        table.add_row("", "", "", "ratio", *shown, end_section=True)
        print(load, ratios, flush=True)
        wrong += [
            f"{load:.0%}: {name} {ratios[name]:.3f}"
            for name in ("throughput", "p95")
            if abs(ratios[name] - 1) > WITHIN
        ]
    Console(width=110).print(table)
    assert not wrong


def share_of_hard(running: RunningHem) -> float:
    """Of the questions, each asked HEM once."""
    (url,) = (url for name, url in hem_urls(running).items() if name.startswith(SITES[0]))
    routes = [
        httpx.post(f"{url}/v2/models/{SITES[0]}-hem/infer", json=text_request([each.query])).json()
        for each in test_questions()
    ]
    return mean([route["parameters"][HEM_ROUTE] == "cloud" for route in routes])


def hem_urls(running: RunningHem) -> dict[str, str]:
    started = (event for event in running.events if event["event"] == "started")
    return {each["name"]: each["url"] for each in started if each["name"].endswith("-hem")}


def _cells(throughput: float, times: Latency) -> list[str]:
    return [f"{throughput:.2f}", *(f"{each:.3f}" for each in (times.p50, times.p95, times.p99))]
