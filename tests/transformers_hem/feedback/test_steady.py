"""A clock in a wrong year deletes nothing."""

import logging
import time
from collections.abc import Callable

import pytest

from tests.transformers_hem.feedback.conftest import Opens
from tests.transformers_hem.feedback.records import decided
from transformers_hem.feedback.keeping import Unit, keep
from transformers_hem.feedback.room import Retention, counted
from transformers_hem.feedback.steady import BELIEVED, SteadyClock

DAY = 86_400
Moves = Callable[[float, float], None]


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    """Lets seconds pass, of which the clock shows some more, or less."""
    passed, shown = [time.monotonic()], [time.time()]
    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "time", lambda: shown[0])

    def move(seconds: float, more: float = 0.0) -> None:
        passed[0] += seconds
        shown[0] += seconds + more

    return move


def test_a_clock_that_is_years_ahead_for_an_hour_deletes_nothing(
    opens: Opens, moves: Moves, caplog: pytest.LogCaptureFixture
) -> None:
    database, began = opens(), time.time()
    with database.transaction() as connection:
        keep(connection, [Unit([decided(f"r{n}", at=began - n * DAY) for n in range(10)])])
    retention = Retention(8.5, 1000, SteadyClock().now)
    for _ in range(60):
        moves(60, 0)
        retention.tidy(database)
    assert counted(database)["decisions"]["rows"] == 9
    moves(60, 20 * 365 * DAY)
    with caplog.at_level(logging.WARNING, "kserve.hem"):
        for _ in range(60):
            moves(60, 0)
            retention.tidy(database)
    assert counted(database)["decisions"]["rows"] == 9
    assert [each.getMessage()[:44] for each in caplog.records] == [
        "feedback: the clock jumped forward by 630720"
    ]
    moves(60, -20 * 365 * DAY)
    retention.tidy(database)
    assert counted(database)["decisions"]["rows"] == 9


def test_a_clock_that_was_set_right_is_followed_a_day_later(moves: Moves) -> None:
    clock = SteadyClock()
    began = clock.now()
    moves(60, 10 * DAY)
    assert clock.now() == pytest.approx(began + 60)
    moves(BELIEVED + 1, 0)
    assert clock.now() == pytest.approx(time.time())
    moves(60, -5 * DAY)
    assert clock.now() == pytest.approx(time.time())


def test_small_steps_are_followed_at_once(moves: Moves) -> None:
    clock = SteadyClock()
    for step in (30.0, -30.0, 1800.0):
        moves(600, step)
        assert clock.now() == pytest.approx(time.time())
