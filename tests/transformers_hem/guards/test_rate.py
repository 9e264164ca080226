"""So many calls of each client, by a clock that nobody sets."""

import pytest

from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError
from tests.transformers_hem.guards.counting import goes_by
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.admission import Going, KeptAtEdge, admit
from transformers_hem.guards.rate import RateGuard, RateParameters
from transformers_hem.guards.settings import load_guard


class Timer:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rate(timer: Timer, most: int = 10, **parameters: object) -> RateGuard:
    return RateGuard(RateParameters.model_validate({"calls": 2, **parameters}), most, timer)


async def test_a_client_over_its_rate_stays_at_the_edge_until_time_has_passed() -> None:
    timer = Timer()
    guard = rate(timer, window="1m")
    assert [await goes_by(guard, "a") for _ in range(3)] == [True, True, False]
    assert guard.route(Batch(1, client="a")) == "edge"
    assert guard.route(Batch(1, client="b")) is None
    timer.now += 29.9
    assert not await goes_by(guard, "a")
    timer.now += 0.2
    assert [await goes_by(guard, "a") for _ in range(2)] == [True, False]
    timer.now += 3600
    assert [await goes_by(guard, "a") for _ in range(3)] == [True, True, False]


async def test_a_route_takes_nothing() -> None:
    guard = rate(Timer())
    for _ in range(5):
        assert guard.route(Batch(1, client="a")) is None
    assert [await goes_by(guard, "a") for _ in range(3)] == [True, True, False]


async def test_a_call_that_another_guard_stops_is_given_back() -> None:
    guard, spent = rate(Timer()), load_guard("RateGuard", {"calls": "1"})
    assert await goes_by(spent, "a")
    for _ in range(5):
        with pytest.raises(KeptAtEdge):
            await admit({"rate": guard, "other": spent}, Going("a", Usage(10, 0, 20)))
    assert [await goes_by(guard, "a") for _ in range(3)] == [True, True, False]


async def test_a_burst_is_less_than_the_calls_of_a_window() -> None:
    timer = Timer()
    guard = rate(timer, calls=60, window="1m", burst=1)
    assert [await goes_by(guard, "a") for _ in range(2)] == [True, False]
    timer.now += 1
    assert [await goes_by(guard, "a") for _ in range(2)] == [True, False]


async def test_many_clients_take_no_more_memory_and_give_nobody_more() -> None:
    """Who is over its rate is not forgotten; those for whom there is no place share one bucket."""
    timer = Timer()
    guard = rate(timer, most=3, window="1m")
    for client in "abc":
        assert [await goes_by(guard, client) for _ in range(3)] == [True, True, False]
    newcomers = [await goes_by(guard, f"n{number}") for number in range(20)]
    assert sum(newcomers) == 2
    assert not await goes_by(guard, "a")
    timer.now += 61
    assert [await goes_by(guard, f"m{number}") for number in range(3)] == [True] * 3


@pytest.mark.parametrize(("hard", "goes"), [(False, True), (True, False)])
async def test_what_the_caller_forces_is_refused_only_where_it_is_hard(
    hard: bool, goes: bool
) -> None:
    guard = rate(Timer(), hard=hard)
    assert [await goes_by(guard, "a", forced=True) for _ in range(3)] == [True, True, goes]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, "parameter 'calls' is missing"),
        ({"calls": "0"}, "greater than 0"),
        ({"calls": "5", "window": "soon"}, "as 90s, 5m, 1h, 30d"),
    ],
)
def test_a_rate_that_is_none_is_refused(values: dict[str, str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("RateGuard", values)
