"""Where nobody knows what was spent nothing goes to the cloud; no clock gives anything back."""

import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from prometheus_client import REGISTRY

from predictors.errors import ConfigurationError
from tests.transformers_hem.guards.budget.budgets import HOUR, SetClock, budget, go, goes, route
from transformers_hem.guards.budget.gauges import BUDGETS
from transformers_hem.guards.budget.state import BUCKETS

YEAR: Final = 365 * 24 * HOUR


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget.db"


async def spent(path: Path, clock: SetClock) -> None:
    guard = budget(path, clock, requests=1)
    await go(guard)
    guard.close()


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    os.truncate(path, 4096)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [zeros, middle, cut, empty])
async def test_a_damaged_file_is_put_aside_and_counts_as_used_up(
    damage: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = SetClock(told=path.parent.stat().st_mtime)
    await spent(path, clock)
    damage(path)
    guard = budget(path, clock, requests=5)
    assert [await goes(guard) for _ in range(3)] == [False] * 3
    assert route(guard) == "edge"
    assert guard.left() == {"requests": 0}
    told = next(line for line in caplog.messages if "damaged" in line)
    assert "nothing goes to the cloud for 3600 s" in told
    assert any(".damaged-" in file.name for file in path.parent.iterdir())
    again = budget(path, clock, requests=5)
    assert not await goes(again)
    clock.passes(HOUR + 1)
    assert await goes(guard)
    assert await goes(again)


@pytest.mark.parametrize("damage", [zeros, middle, cut, empty])
async def test_a_file_that_is_damaged_while_it_is_used_gives_nothing_back(
    damage: Callable[[Path], None], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that goes on, one that is killed, and one that begins anew."""
    monkeypatch.setattr("transformers_hem.guards.budget.state.AGAIN_SECONDS", 0.0)
    clock = SetClock(told=path.parent.stat().st_mtime)
    guard = budget(path, clock, requests=5)
    assert await goes(guard)
    damage(path)
    went = [await goes(guard) for _ in range(10)]
    later = budget(path, clock, requests=5)
    went += [await goes(later) for _ in range(10)]
    assert sum(went) <= 4


async def test_two_that_find_the_same_damage_put_it_aside_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers_hem.guards.budget.state.AGAIN_SECONDS", 0.0)
    clock = SetClock(told=path.parent.stat().st_mtime)
    await spent(path, clock)
    middle(path)
    both = [budget(path, clock, requests=5) for _ in range(2)]
    assert not any([await goes(guard) for guard in both])
    aside = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    assert len(aside) == 1
    clock.passes(HOUR + 1)
    assert [await goes(both[number % 2]) for number in range(7)] == [True] * 5 + [False] * 2


async def test_another_programs_file_is_left_alone(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="another program's database: give another path"):
        budget(path, requests=1)
    path.write_text("notes of somebody\n" * 100)
    with pytest.raises(ConfigurationError, match="is no state file of a budget"):
        budget(path, requests=1)
    assert before and path.read_text().startswith("notes")


async def test_a_file_of_another_version_is_refused_by_its_number(path: Path) -> None:
    await spent(path, SetClock())
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()
    with pytest.raises(ConfigurationError, match="tables of version 7, and this version of HEM"):
        budget(path, requests=1)


async def test_a_full_disk_keeps_requests_at_the_edge_until_there_is_room(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit of the size of files stands for the full disk: to write fails alike."""
    monkeypatch.setattr("transformers_hem.guards.budget.state.AGAIN_SECONDS", 0.0)
    guard = budget(path, requests=1000)
    held = await go(guard)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert not await goes(guard)
        assert not await goes(guard)
        held.settle(None)
        assert any("nothing goes to the cloud" in line for line in caplog.messages)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await goes(guard)
    assert guard.left() == {"requests": 998}


async def test_a_folder_that_nobody_can_write_to_keeps_requests_at_the_edge() -> None:
    """Not even root writes there."""
    guard = budget(Path("/proc/budget.db"), requests=5)
    assert route(guard) == "edge"
    assert not await goes(guard)


async def test_where_the_file_can_not_be_made_requests_stay_at_the_edge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder in the file's place stands for all that root can't do either."""
    BUDGETS.clear()  # of other tests
    (tmp_path / "budget.db").mkdir()
    guard = budget(tmp_path / "budget.db", requests=5)
    assert route(guard) == "edge"
    assert not await goes(guard)
    assert await goes(guard, forced=True)
    assert REGISTRY.get_sample_value("hem_budget_known") == 0
    assert any("can't be used" in line for line in caplog.messages)
    guard.close()


async def test_a_file_that_is_removed_is_begun_anew(path: Path) -> None:
    guard = budget(path, requests=1)
    assert [await goes(guard), await goes(guard)] == [True, False]
    path.unlink()
    assert [await goes(guard), await goes(guard)] == [True, False]


@pytest.mark.parametrize("by", [-YEAR, -HOUR, HOUR, YEAR])
async def test_a_clock_that_is_set_gives_nothing_back(by: float, path: Path) -> None:
    clock = SetClock()
    guard = budget(path, clock, requests=1)
    await go(guard)
    clock.told += by
    assert not await goes(guard)
    clock.passes(HOUR / 2)
    assert not await goes(guard)
    guard.close()
    again = budget(path, clock, requests=1)
    assert not await goes(again)
    clock.passes(HOUR / 2 + 2 * HOUR / BUCKETS)
    assert await goes(again)


async def test_over_a_reboot_time_never_goes_back(path: Path) -> None:
    await spent(path, SetClock())
    early = SetClock(told=0, since=5, boot="second")  # a clock without a battery
    guard = budget(path, early, requests=1)
    assert not await goes(guard)
    early.told = 1e9 + YEAR
    assert not await goes(guard)
    early.since += HOUR + 2 * HOUR / BUCKETS
    assert await goes(guard)


async def test_over_a_reboot_the_time_in_between_counts(path: Path) -> None:
    await spent(path, SetClock())
    guard = budget(path, SetClock(told=1e9 + 2 * HOUR, since=5, boot="second"), requests=1)
    assert await goes(guard)


async def test_another_process_that_writes_for_long_keeps_requests_at_the_edge(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers_hem.guards.budget.guard.BUSY_SECONDS", 0.1)
    guard = budget(path, requests=5)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert not await goes(guard)
    writer.execute("ROLLBACK")
    writer.close()
    assert await goes(guard)
