"""What may be spent in a window is spent, and not more: requests, tokens, money."""

import asyncio
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client import REGISTRY

from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError
from tests.transformers_hem.guards.budget.budgets import HOUR, SetClock, budget, go, goes, route
from transformers_hem.guards.budget.gauges import BUDGETS
from transformers_hem.guards.settings import load_guard

PRICES = """
currency: USD
models:
  cheap: {input: 1, output: 2}
  dear: {input: 10, output: 20}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget.db"


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES)
    return file


@pytest.mark.parametrize(
    ("limit", "fits"),
    [
        ({"requests": 3}, 3),
        ({"tokens": 100}, 3),  # of 30
        ({"tokens": 100, "counted": "input"}, 10),
        ({"tokens": 100, "counted": "output"}, 5),
        ({"tokens": 100, "requests": 2}, 2),
    ],
)
async def test_so_much_goes_to_the_cloud_and_no_more(
    limit: dict[str, Any], fits: int, path: Path
) -> None:
    guard = budget(path, **limit)
    went = [await goes(guard) for _ in range(fits + 5)]
    assert went == [True] * fits + [False] * 5


@pytest.mark.parametrize(("model", "fits"), [("cheap", 20), ("dear", 2), ("unknown", 2)])
async def test_money_is_counted_by_the_price_file(
    model: str, fits: int, path: Path, prices: Path
) -> None:
    """10 and 20 tokens are 50e-6 of the cheap model; one without a price is as dear as any."""
    guard = budget(path, money=0.001, prices=str(prices))
    went = [await goes(guard, model=model) for _ in range(fits + 1)]
    assert went == [True] * fits + [False]


async def test_a_route_counts_nothing_and_is_the_edge_once_nothing_is_left(path: Path) -> None:
    guard = budget(path, requests=1)
    for _ in range(5):
        assert route(guard) is None
    assert await goes(guard)
    assert not await goes(guard)
    assert route(guard) == "edge"


async def test_what_was_really_used_takes_the_place_of_the_estimate(path: Path) -> None:
    guard = budget(path, tokens=100)
    admission = await go(guard, 10, 80)
    assert not await goes(guard, 10, 10)
    admission.settle(Usage(20, 0, 30))
    assert guard.left() == {"tokens": 50}
    (await go(guard, 10, 40)).settle(None)
    assert guard.left() == {"tokens": 0}
    assert not await goes(guard, 1, 0)


async def test_an_attempt_that_used_nothing_gives_all_back_once(path: Path) -> None:
    guard = budget(path, tokens=100, requests=1)
    admission = await go(guard)
    for _ in range(3):
        admission.settle(Usage())
    assert guard.left() == {"tokens": 100, "requests": 1}


async def test_what_was_used_beyond_the_estimate_counts(path: Path) -> None:
    guard = budget(path, tokens=100)
    (await go(guard, 10, 20)).settle(Usage(10, 0, 200))
    assert route(guard) == "edge"
    assert guard.left() == {"tokens": 0}


async def test_each_client_has_a_budget_of_its_own(path: Path) -> None:
    guard = budget(path, requests=2, per="client")
    for client in ("a", "b", ""):
        assert [await goes(guard, client=client) for _ in range(3)] == [True, True, False]
        assert route(guard, client) == "edge"
    assert route(guard, "c") is None


async def test_the_window_rolls(path: Path) -> None:
    clock = SetClock()
    guard = budget(path, clock, requests=2)
    assert await goes(guard)
    clock.passes(HOUR / 2)
    assert await goes(guard)
    clock.passes(HOUR / 2 - 1)
    assert not await goes(guard)
    clock.passes(HOUR / 30)
    assert [await goes(guard), await goes(guard)] == [True, False]


async def test_it_survives_a_restart_and_two_share_it(path: Path) -> None:
    clock = SetClock()
    first = budget(path, clock, requests=5)
    assert await goes(first)
    second = budget(path, clock, requests=5)
    assert await goes(second)
    assert first.left() == second.left() == {"requests": 3}
    first.close()
    second.close()
    assert budget(path, clock, requests=5).left() == {"requests": 3}


async def test_tasks_and_threads_together_spend_it_to_the_last_and_not_more(path: Path) -> None:
    guards = [budget(path, requests=200) for _ in range(2)]
    went: list[bool] = []

    async def some(number: int) -> None:
        for _ in range(50):
            went.append(await goes(guards[number % 2]))
            await asyncio.sleep(0)

    async def several(first: int) -> None:
        await asyncio.gather(*(some(first + each) for each in range(2)))

    threads = [Thread(target=lambda n=n: asyncio.run(several(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(went) == 400
    assert sum(went) == 200
    assert guards[0].left() == {"requests": 0}


@pytest.mark.parametrize(("hard", "went"), [(False, True), (True, False)])
async def test_what_the_caller_forces_is_counted_and_refused_only_where_it_is_hard(
    hard: bool, went: bool, path: Path
) -> None:
    guard = budget(path, requests=1, hard=hard)
    assert await goes(guard, forced=True)
    assert not await goes(guard)
    assert await goes(guard, forced=True) is went


async def test_what_is_left_is_a_metric(path: Path) -> None:
    BUDGETS.clear()  # of other tests
    guard = budget(path, requests=3)
    await go(guard)
    assert REGISTRY.get_sample_value("hem_budget_left", {"unit": "requests"}) == 2
    assert REGISTRY.get_sample_value("hem_budget_known") == 1
    guard.close()
    assert REGISTRY.get_sample_value("hem_budget_left", {"unit": "requests"}) is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, "parameter 'state' is missing"),
        ({"state": "b"}, "needs what may be spent: money, tokens or requests"),
        ({"state": "b", "money": "5"}, "money needs prices"),
        ({"state": "b", "requests": "0"}, "greater than 0"),
        ({"state": "b", "requests": "5", "window": "1 week"}, "as 90s, 5m, 1h, 30d"),
        ({"state": "absent/b", "requests": "5"}, "make the folder of b"),
        ({"state": "b", "money": "5", "prices": "absent.yaml"}, "absent.yaml can't be read"),
    ],
)
def test_a_budget_that_can_not_be_is_refused(
    values: dict[str, str], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("BudgetGuard", values, {})


def test_settings_of_hem_stand_for_prices_and_model(path: Path, prices: Path) -> None:
    guard = load_guard(
        "BudgetGuard",
        {"state": str(path), "money": "5"},
        {"prices_file": str(prices), "cloud_model": "cheap"},
    )
    assert guard.close() is None
