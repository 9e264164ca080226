"""Open and closed loops: who waits for whom, and that a stall of the server shows."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from inferencegraph.evaluate.load.driving import Driver
from inferencegraph.evaluate.load.questions import Question
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.target import target
from predictors.upstream.timed import TimedServer
from tests.inferencegraph.evaluate.load.served import Asked, Served, served, v2, whole

QUESTIONS = [Question("row", text=f"question {number}") for number in range(5)]
STALL = 1.0  # seconds


def driver(server: Served, stop: asyncio.Event | None = None, seconds: float = 10) -> Driver:
    at = target("A", server.url, stream=False)
    return Driver(
        at, TimedServer(at.url, seconds=seconds), at.bodies(QUESTIONS, {}), stop or asyncio.Event()
    )


def p99(records: list[Record]) -> float:
    return float(np.percentile([record.latency for record in records], 99))


class Stalls:
    """Answers at once, but for the second after its fifth question, in which it does nothing."""

    def __init__(self) -> None:
        self._asked = 0
        self._stalled: float | None = None

    async def __call__(self, asked: Asked) -> bytes:
        self._asked += 1
        if self._asked == 5:
            self._stalled = asked.at
        if self._stalled is not None:
            await asyncio.sleep(max(0.0, self._stalled + STALL - asked.at))
        return whole(v2())


async def test_a_stall_shows_in_what_is_asked_at_a_rate() -> None:
    """Half of all requests were to leave in the second in which the server stood still, and each
    counts: of one caller only a single one waits, and p99 hides it (coordinated omission)."""
    evenly = [number / 100 for number in range(200)]
    with served(Stalls()) as server:
        rate: list[Record] = []
        asks = driver(server)
        await asks.open(100, 0, evenly, rate)
        asks.server.close()
    with served(Stalls()) as server:
        caller: list[Record] = []
        asks = driver(server)
        await asks.closed(1, 0, None, 1000, caller)
        asks.server.close()
    assert len(rate) == 200
    assert p99(rate) > 0.9 * STALL
    assert sum(record.latency > STALL / 2 for record in rate) > 40
    assert p99(caller) < 0.2 * STALL
    assert max(record.latency for record in caller) > 0.9 * STALL


async def test_requests_leave_when_they_are_to_whatever_comes_back() -> None:
    all_are_here = asyncio.Barrier(10)

    async def never_in_time(asked: Asked) -> bytes:
        async with asyncio.timeout(30):
            await all_are_here.wait()
        return whole(v2())

    with served(never_in_time) as server:
        records: list[Record] = []
        asks = driver(server)
        await asks.open(100, 3, [number / 100 for number in range(10)], records)
        asks.server.close()
    assert server.most_at_once == 10
    assert all(record.begun > record.intended - 0.001 for record in records)
    intended = sorted(record.intended for record in records)
    assert np.diff(intended) == pytest.approx(np.full(9, 0.01))
    assert {record.block for record in records} == {3}


async def test_callers_wait_for_their_answers_and_ask_every_question_in_turn() -> None:
    async def slowly(asked: Asked) -> bytes:
        await asyncio.sleep(0.01)
        return whole(v2())

    with served(slowly) as server:
        records: list[Record] = []
        asks = driver(server)
        await asks.closed(3, 0, None, 12, records)
        asks.server.close()
    assert server.most_at_once == 3
    assert len({asked.connection for asked in server.asked}) == 3
    assert [record.question for record in sorted(records, key=lambda r: r.begun)] == [
        *range(5),
        *range(5),
        *range(2),
    ]
    assert sorted(asked.text for asked in server.asked)[:3] == ["question 0"] * 3
    assert all(record.intended == record.begun for record in records)


async def test_a_server_that_is_gone_is_counted_and_not_hammered() -> None:
    with served() as server:
        asks = driver(server)
        records: list[Record] = []
        await asks.closed(2, 0, None, 4, records)
    await asks.closed(2, 0, 0.2, None, records)
    failed = [record for record in records if record.failure]
    assert {record.failure for record in failed} == {"unreachable"}
    assert 2 <= len(failed) <= 10


def endless() -> Iterator[float]:
    return iter(np.arange(0, 1000, 0.01))


@pytest.mark.parametrize("loop", ["open", "closed"])
async def test_a_stop_ends_both_loops_with_what_was_answered(loop: str) -> None:
    stop = asyncio.Event()
    turns = asyncio.get_running_loop()

    async def until_twenty(asked: Asked) -> bytes:
        if len(server.asked) == 20:
            turns.call_soon_threadsafe(stop.set)
        return whole(v2())

    with served(until_twenty) as server:
        asks = driver(server, stop)
        records: list[Record] = []
        if loop == "open":
            await asks.open(100, 0, endless(), records)
        else:
            await asks.closed(2, 0, 1000, None, records)
        asks.server.close()
    assert 20 <= len(records) == len(server.asked)
    assert all(record.failure is None for record in records)
