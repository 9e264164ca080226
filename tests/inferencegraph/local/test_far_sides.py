"""When a stack tells what its services say of their far sides; and how long the dead wait."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inferencegraph.local import backoff, far_sides
from inferencegraph.local.backoff import Backoff
from inferencegraph.local.far_sides import FarSides
from inferencegraph.local.plan import Component
from predictors.upstream.probe import Told

UPLINK = Component("qa-uplink", "qa-uplink", (), {}, 1, "/")
AWAY = "far side http://x can't be reached; http://x can't be reached: Connection refused"
REFUSED = "far side http://x refused the key (401); http://x answered 401"
ANSWERS = "far side http://x answers"


class Heard(FarSides):
    def __init__(self) -> None:
        self.told: list[str] = []
        super().__init__(self._keep)

    def _keep(self, component: Component, said: Told) -> None:
        self.told.append(said.fault)

    def lines(self, *texts: str) -> None:
        for text in texts:
            self.line(UPLINK, f"2026-11-28 kserve.hem WARNING [probe.py:1] {text}")


@pytest.fixture
async def heard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heard]:
    monkeypatch.setattr(far_sides, "SETTLE_SECONDS", 0.05)
    heard = Heard()
    yield heard
    heard.close()


async def settled() -> None:
    await asyncio.sleep(0.1)


async def test_while_services_load_nothing_is_told(heard: Heard) -> None:
    heard.lines(AWAY, REFUSED, ANSWERS, AWAY)
    assert heard.told == []


async def test_a_refusal_is_told_as_soon_as_all_are_ready(heard: Heard) -> None:
    heard.lines(REFUSED)
    heard.open()
    assert heard.told == ["refused the key (401)"]
    await settled()
    assert heard.told == ["refused the key (401)"]


async def test_a_cloud_that_had_only_loaded_is_no_news(heard: Heard) -> None:
    heard.lines(AWAY)
    heard.open()
    heard.lines(ANSWERS)
    await settled()
    assert heard.told == []


async def test_one_that_stays_away_is_told(heard: Heard) -> None:
    heard.lines(AWAY)
    heard.open()
    assert heard.told == []
    await settled()
    assert heard.told == ["can't be reached"]


async def test_later_every_change_is_told_once(heard: Heard) -> None:
    heard.lines(ANSWERS)
    heard.open()
    await settled()
    heard.lines(REFUSED, AWAY, ANSWERS, ANSWERS, REFUSED)
    assert heard.told == ["refused the key (401)", "", "refused the key (401)"]


async def test_other_lines_are_none_of_this(heard: Heard) -> None:
    heard.open()
    await settled()
    heard.lines("decision id='far side' route=edge", "the far side answers", "")
    assert heard.told == []


def test_the_pause_grows_to_a_minute_and_starts_anew_after_a_good_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = {"at": 0.0}
    monkeypatch.setattr(backoff, "monotonic", lambda: now["at"])
    pauses = Backoff()
    waited = []
    for ran in (1, 1, 1, 1, 1, 1, 100, 1):
        pauses.started("a")
        now["at"] += ran
        waited.append(pauses.died("a"))
    assert waited == [5, 10, 20, 40, 60, 60, 5, 10]
