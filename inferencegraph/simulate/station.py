"""Places that serve one query each, and a queue before them: first come, first served."""

import math
from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from simpy import Environment, Event, Resource

T = TypeVar("T")
Way: TypeAlias = Generator[Event, Any, T]  # of a query: waits for events, and returns a T


class Station:
    """`busy` are the seconds that its places were taken, all added up, from `begin` to `end`."""

    def __init__(self, env: Environment, places: int, begin: float, end: float) -> None:
        self._env = env
        self._places = Resource(env, places)
        self._begin, self._end = begin, end
        self.busy = 0.0

    @property
    def waiting(self) -> int:
        return len(self._places.queue)

    @property
    def full(self) -> bool:
        return bool(self._places.count == self._places.capacity)

    @property
    def calls(self) -> int:
        """Those that are served, and those that wait."""
        return self._places.count + self.waiting

    @property
    def utilisation(self) -> float:
        return self.busy / (self._places.capacity * (self._end - self._begin))

    def serve(self, seconds: float, until: float = math.inf) -> Way[bool]:
        """Whether it had a place for so many seconds before it was too late (`until`)."""
        served = yield from self.during(_lasting(self._env, seconds, until), until)
        return bool(served)

    def during(self, what: Way[T], until: float) -> Way[T | None]:
        """What comes of `what`, which has a place; None where there was none before `until`."""
        with self._places.request() as place:
            if not (yield from self._granted(place, until)):
                what.close()
                return None
            began = self._env.now
            try:
                return (yield from what)
            finally:
                taken = min(self._env.now, self._end) - max(began, self._begin)
                self.busy += max(0.0, taken)

    def _granted(self, place: Event, until: float) -> Way[bool]:
        if not place.triggered:
            if until == math.inf:
                yield place
            else:
                yield place | self._env.timeout(max(0.0, until - self._env.now))
        return place.triggered


def _lasting(env: Environment, seconds: float, until: float) -> Way[bool]:
    left = until - env.now
    yield env.timeout(max(0.0, min(seconds, left)))
    return seconds <= left
