"""Sends the requests of one block: at a rate whatever comes back, or by callers who wait."""

import asyncio
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from inferencegraph.evaluate.load.answers import read_into
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.target import Target
from predictors.errors import Cause
from predictors.upstream.timed import TimedServer

# Requests that wait for a server that has stopped to answer; more are counted, and not sent.
MAX_IN_FLIGHT: Final = 10_000
NOT_SENT: Final = "not sent"
UNREACHABLE: Final = str(Cause.UNREACHABLE)
_PATIENCE: Final = 0.05  # seconds that a wait doesn't look whether it is to stop


@dataclass(slots=True)
class Driver:
    """Asks one target one question after the other, and begins again behind the last.

    `stop` ends it: what is in flight is waited for.
    """

    target: Target
    server: TimedServer
    bodies: Sequence[bytes]
    stop: asyncio.Event
    _next: int = 0
    _flying: set["asyncio.Task[None]"] = field(default_factory=set)

    async def ask(self, level: float, block: int, intended: float | None = None) -> Record:
        """The next question; without `intended` it is to leave now."""
        begun = perf_counter()
        question = self._next
        self._next = (question + 1) % len(self.bodies)
        record = Record(
            self.target.name,
            level,
            block,
            question,
            begun if intended is None else intended,
            begun,
            begun,
            begun,
        )
        read_into(record, await self.server.post(self.bodies[question]), self.target.api)
        return record

    async def closed(
        self,
        callers: int,
        block: int,
        seconds: float | None,
        requests: int | None,
        records: list[Record],
    ) -> None:
        """Each of `callers` asks as soon as it is answered; for `seconds`, or until `requests` were
        asked in all. What is answered is added to `records`."""
        end = float("inf") if seconds is None else perf_counter() + seconds
        left = float("inf") if requests is None else requests

        async def caller() -> None:
            nonlocal left
            while left > 0 and perf_counter() < end and not self.stop.is_set():
                left -= 1
                record = await self.ask(callers, block)
                records.append(record)
                if record.failure == UNREACHABLE:
                    await asyncio.sleep(_PATIENCE)  # a refusal takes no time; not a million of them

        await _all([asyncio.create_task(caller()) for _ in range(callers)])

    async def open(
        self, rate: float, block: int, arrivals: Iterable[float], records: list[Record]
    ) -> None:
        """Each request leaves when `arrivals` says, in seconds from now, however many wait."""
        most = _most_in_flight()
        began = perf_counter()

        async def one(due: float) -> None:
            records.append(await self.ask(rate, block, due))

        for arrival in arrivals:
            due = began + arrival
            await self._until(due)
            if self.stop.is_set():
                break
            if len(self._flying) >= most:
                records.append(self._unsent(rate, block, due, most))
                continue
            task = asyncio.create_task(one(due))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        await _all(list(self._flying))

    async def _until(self, due: float) -> None:
        """Or until `stop` is set. A turn of the loop, at least: answers have to be read."""
        while (wait := due - perf_counter()) > _PATIENCE and not self.stop.is_set():
            try:
                async with asyncio.timeout(wait - _PATIENCE / 2):
                    await self.stop.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(max(0.0, due - perf_counter()))
        while perf_counter() < due:  # timers of the loop are whole milliseconds
            await asyncio.sleep(0)

    def _unsent(self, rate: float, block: int, due: float, most: int) -> Record:
        now = perf_counter()
        record = Record(self.target.name, rate, block, self._next, due, now, now, now)
        record.failure, record.detail = NOT_SENT, f"{most} requests were in flight"
        return record


async def _all(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """Raises the first error, with none of them left behind."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _most_in_flight() -> int:
    """As many as there may be open files, raised to what the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_IN_FLIGHT + 200
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(MAX_IN_FLIGHT, soft - 200)
