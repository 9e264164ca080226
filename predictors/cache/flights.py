"""Callers who ask the same at the same time wait for one computation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from predictors.contract import Answer, Query

Queries: TypeAlias = Mapping[bytes, Query]
Answers: TypeAlias = dict[bytes, Answer]


@dataclass(eq=False, slots=True)
class Flight:
    """One computation of some queries, for the caller who started it and those who joined."""

    queries: Queries
    task: asyncio.Task[Answers]
    callers: int = 0


class Flights:
    """`compute` answers queries; it is cancelled only when everyone who waits for it has left."""

    def __init__(self, compute: Callable[[Queries], Awaitable[Answers]]) -> None:
        self._compute = compute
        self._flying: dict[bytes, Flight] = {}

    async def answers(self, queries: Queries) -> tuple[Answers, Answers]:
        """Answers that were computed for this caller, and answers that were for another caller.

        Where another caller's computation fails, another query than ours may be the reason: then
        ours are computed on their own. Raises what `compute` raises.
        """
        joined = {key: self._flying[key] for key in queries if key in self._flying}
        own = {key: query for key, query in queries.items() if key not in joined}
        started = [self._start(own)] if own else []
        await self._wait([*started, *dict.fromkeys(joined.values())])
        computed = started[0].task.result() if started else {}
        shared = {key: _shared(flight, key) for key, flight in joined.items()}
        failed = {key: queries[key] for key, answer in shared.items() if answer is None}
        if failed:
            computed = {**computed, **await self._compute(failed)}
        return computed, {key: answer for key, answer in shared.items() if answer is not None}

    async def _wait(self, flights: list[Flight]) -> None:
        """Until all have ended, well or not. A flight that nobody waits for any more is ended."""
        for flight in flights:
            flight.callers += 1
        try:
            await asyncio.wait({flight.task for flight in flights})
        finally:
            for flight in flights:
                flight.callers -= 1
                if flight.callers == 0:
                    self._end(flight)

    def _start(self, queries: Queries) -> Flight:
        task = asyncio.ensure_future(self._compute(queries))
        flight = Flight(queries, task)
        self._flying.update(dict.fromkeys(queries, flight))
        task.add_done_callback(lambda _: self._end(flight))
        return flight

    def _end(self, flight: Flight) -> None:
        for key in flight.queries:
            if self._flying.get(key) is flight:
                del self._flying[key]
        if not flight.task.done():
            flight.task.cancel()
        elif not flight.task.cancelled():
            flight.task.exception()  # seen, even where every caller has left


def _shared(flight: Flight, key: bytes) -> Answer | None:
    """None where the other caller's computation failed, perhaps over another query.

    Raises its error where this query was the only one, so that callers who pile up behind a dead
    server don't call it once each.
    """
    if flight.task.cancelled():
        return None
    if flight.task.exception() is not None and len(flight.queries) > 1:
        return None
    return flight.task.result()[key]
