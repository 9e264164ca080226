"""What holds of every run: the same by its seed, nothing lost, and limits as those of servers."""

from dataclasses import replace

import pytest

from inferencegraph.build.mining import MINING_MODES
from inferencegraph.simulate.report import report
from inferencegraph.simulate.running import Query, Run, simulate
from inferencegraph.simulate.scenario import LEAST_BUSY, RANDOM, Cloud, Model, Scenario, Site
from inferencegraph.simulate.times import Constant, Exponential, Lognormal
from predictors.upstream.settings import Limits
from tests.inferencegraph.simulate.sites import scenario

BUSY = Scenario(
    tuple(
        Site(
            name,
            rate=2.0,
            hard=0.5,
            edge=Model(2, Lognormal(0.9, 1.0)),
            mining=Exponential(0.01),
            round_trip=Constant(0.05),
            uplink=Limits(timeout=4.0, max_concurrency=4, max_queue=3),
            step_seconds=5.0,
        )
        for name in ("a", "b", "c")
    ),
    Cloud(Model(2, Exponential(1.2)), replicas=2),
    seconds=500.0,
)


def all_queries(run: Run) -> list[Query]:
    return [query for queries in run.queries.values() for query in queries]


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    first, again, other = (report(simulate(replace(BUSY, seed=seed))) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_the_same_queries_meet_whatever_cloud_there_is() -> None:
    runs = [simulate(replace(BUSY, cloud=replace(BUSY.cloud, replicas=n))) for n in (1, 3)]
    one, three = ([(q.came, q.hard) for q in all_queries(run)] for run in runs)
    assert one == three


@pytest.mark.parametrize("mode", MINING_MODES)
def test_each_query_that_came_is_answered_or_failed_or_under_way(mode: str) -> None:
    sites = tuple(replace(site, mode=mode) for site in BUSY.sites)
    run = simulate(replace(BUSY, sites=sites))
    whole = report(run)
    for name, queries in run.queries.items():
        counted = [query for query in queries if query.came >= BUSY.warm_up]
        (site,) = (each.served for each in whole.sites if each.name == name)
        assert site.came == len(counted) == site.answered + site.failed
        assert sum(site.failures.values()) <= sum(query.hard for query in counted)
        ended = sum(query.ended < BUSY.end for query in queries)
        assert len(queries) == ended + site.under_way
    assert whole.served.came == sum(each.served.came for each in whole.sites)
    assert whole.served.failed > 0
    assert {"queue_full", "timeout"} <= set(whole.served.failures)


def test_hard_queries_are_the_clouds_or_have_a_reason() -> None:
    for query in all_queries(simulate(BUSY)):
        if query.served_by == "cloud":
            assert query.hard and not query.failure
        elif query.hard:
            assert query.failure
        else:
            assert not query.failure


def test_no_limit_is_outlasted() -> None:
    site = BUSY.sites[0]
    longest = 1.25 * site.uplink.timeout + site.step_seconds
    mining = 1.0  # its queue is all that has no limit here, and it is hardly busy
    assert max(query.seconds for query in all_queries(simulate(BUSY))) < longest + mining


def test_the_utilisation_is_the_work_that_came() -> None:
    run = simulate(scenario(2.0, edge=Model(4, Constant(1.0)), seconds=1000.0))
    counted = report(run).served.came
    assert run.utilisation["site-0"].edge == pytest.approx(counted / 4000.0, rel=0.01)


def test_a_gateway_that_counts_calls_beats_chance() -> None:
    means = {}
    for balancing in (RANDOM, LEAST_BUSY):
        cloud = Cloud(Model(2, Exponential(1.0)), 4, balancing)
        site = scenario(6.0, hard=1.0).sites
        run = simulate(Scenario(site, cloud, seconds=2000.0))
        means[balancing] = report(run).served.latency.mean
    assert means[LEAST_BUSY] < 0.7 * means[RANDOM]


def dead_cloud(breaker_failures: int) -> Run:
    """A query each second or so, and a cloud that never answers within 2 seconds."""
    limits = Limits(timeout=2.0, breaker_failures=breaker_failures, breaker_seconds=10.0)
    never = Model(1000, Constant(1e6))
    return simulate(scenario(1.0, hard=1.0, cloud=never, uplink=limits, seconds=1000.0))


def test_a_breaker_asks_a_dead_cloud_once_in_its_seconds() -> None:
    failures = report(dead_cloud(breaker_failures=5)).served.failures
    # One probe each time: 10 seconds, the next query's coming, and its 2 seconds.
    assert failures["timeout"] == pytest.approx(1000 / 13, rel=0.1)
    assert failures["breaker_open"] > 10 * failures["timeout"]


def test_without_a_breaker_each_query_waits_for_a_dead_cloud() -> None:
    served = report(dead_cloud(breaker_failures=0)).served
    assert served.failures == {"timeout": served.came}
    assert served.latency.p50 == pytest.approx(2.0)
    assert served.edge_share == 1.0


def test_a_closed_breaker_lets_all_through_again() -> None:
    """The cloud is late now and then, and hardly ever five times in a row."""
    limits = Limits(timeout=2.0)
    cloud = Model(1000, Exponential(1.0))
    run = simulate(scenario(1.0, hard=1.0, cloud=cloud, uplink=limits, seconds=2000.0))
    served = report(run).served
    assert served.failures["timeout"] == pytest.approx(0.135 * served.came, rel=0.2)
    assert served.failures.get("breaker_open", 0) < 0.01 * served.came
