"""The simulation beside queueing theory: mean waits and losses that have a formula."""

import pytest

from inferencegraph.build.mining import ANSWER_STAGE
from inferencegraph.simulate.report import report
from inferencegraph.simulate.running import Run
from inferencegraph.simulate.scenario import Model
from inferencegraph.simulate.times import Constant, Exponential, Lognormal, Times
from predictors.upstream.settings import Limits
from tests.inferencegraph.simulate.sites import (
    UNLIMITED,
    agrees,
    erlang_b,
    erlang_c_wait,
    gives_up,
    pollaczek_khinchine_wait,
    runs,
    scenario,
)

VARIATION = 1.5


def mean_seconds(found: list[Run]) -> list[float]:
    return [report(run).served.latency.mean for run in found]


@pytest.mark.parametrize("places", [1, 2, 8])
@pytest.mark.parametrize("busy", [0.3, 0.6, 0.8])
def test_an_edge_with_exponential_answers_is_an_m_m_c(places: int, busy: float) -> None:
    rate, mean = 2.0, busy * places / 2.0
    found = runs(scenario(rate, edge=Model(places, Exponential(mean))))
    agrees(mean_seconds(found), mean + erlang_c_wait(rate, mean, places))
    agrees([run.utilisation["site-0"].edge for run in found], busy)


@pytest.mark.parametrize(
    ("times", "variation"),
    [(Constant(0.3), 0.0), (Exponential(0.3), 1.0), (Lognormal(0.3, VARIATION), VARIATION)],
    ids=["constant", "exponential", "lognormal"],
)
def test_an_edge_with_one_place_is_an_m_g_1(times: Times, variation: float) -> None:
    rate = 2.0
    found = runs(scenario(rate, edge=Model(1, times)))
    wait = pollaczek_khinchine_wait(rate, times.mean, variation)
    agrees(mean_seconds(found), times.mean + wait)


def test_mining_is_one_place() -> None:
    found = runs(scenario(20.0, mining=Exponential(0.03), seconds=200.0))
    agrees(mean_seconds(found), 0.03 + erlang_c_wait(20.0, 0.03, 1))


def test_sites_share_the_cloud_as_one_m_m_c() -> None:
    cloud = Model(6, Exponential(0.8))
    found = runs(scenario(1.0, hard=1.0, sites=6, cloud=cloud, seconds=500.0))
    agrees(mean_seconds(found), 0.8 + erlang_c_wait(6.0, 0.8, 6))


def test_replicas_chosen_by_chance_are_queues_of_their_own() -> None:
    cloud = Model(2, Exponential(1.4))
    found = runs(scenario(1.0, hard=1.0, sites=3, replicas=3, cloud=cloud))
    agrees(mean_seconds(found), 1.4 + erlang_c_wait(1.0, 1.4, 2))
    agrees([sum(run.cloud_utilisation) / 3 for run in found], 0.7)


def test_edge_and_cloud_one_behind_the_other_are_a_jackson_network() -> None:
    """What leaves an M/M/c is Poisson again (P. J. Burke 1956), and a random share of it, too."""
    edge, cloud = Model(2, Exponential(0.7)), Model(1, Exponential(0.8))
    found = runs(scenario(2.0, hard=0.4, mode=ANSWER_STAGE, edge=edge, cloud=cloud))
    at_edge = 0.7 + erlang_c_wait(2.0, 0.7, 2)
    at_cloud = 0.8 + erlang_c_wait(0.8, 0.8, 1)
    agrees(mean_seconds(found), at_edge + 0.4 * at_cloud)


def test_a_round_trip_and_the_hops_are_added_to_what_they_belong_to() -> None:
    ways = {"overhead": Constant(0.5), "round_trip": Constant(0.25)}
    found = runs(scenario(2.0, hard=0.4, edge=Model(1000, Constant(1.0)), **ways))
    agrees(mean_seconds(found), 0.5 + 0.6 * 1.0 + 0.4 * 0.25)


def test_an_uplink_without_a_queue_loses_what_erlang_b_says() -> None:
    limits = UNLIMITED.model_copy(update={"max_concurrency": 4, "max_queue": 0})
    cloud = Model(1000, Exponential(1.0))
    found = runs(scenario(3.0, hard=1.0, cloud=cloud, uplink=limits))
    agrees([share_lost(run, "queue_full") for run in found], erlang_b(3.0, 4))


def test_an_uplink_gives_up_waiting_as_often_as_theory_says() -> None:
    limits = Limits(max_concurrency=1, timeout=1e9, queue_timeout=2.0)
    cloud = Model(1000, Exponential(0.8))
    found = runs(scenario(1.0, hard=1.0, cloud=cloud, uplink=limits))
    agrees([share_lost(run, "queue_timeout") for run in found], gives_up(1.0, 0.8, 2.0))


def share_lost(run: Run, reason: str) -> float:
    served = report(run).served
    assert set(served.failures) == {reason}
    assert served.degraded == served.failures[reason]
    return served.degraded / served.came
