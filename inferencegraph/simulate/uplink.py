"""A site's way to the cloud: the queue, the limits and the breaker of predictors.upstream.call,
without its retries, as a cloud that is only busy gives no cause for one."""

import math
from random import Random
from typing import Final

from simpy import Environment

from inferencegraph.simulate.scenario import RANDOM, Cloud
from inferencegraph.simulate.station import Station, Way
from predictors.upstream.limits import queue_limit
from predictors.upstream.settings import Limits

# Why the cloud did not answer, in the words of hem_upstream_rejected_total and
# hem_upstream_failures_total.
BREAKER_OPEN: Final = "breaker_open"
QUEUE_FULL: Final = "queue_full"
QUEUE_TIMEOUT: Final = "queue_timeout"
TIMEOUT: Final = "timeout"


class Replicas:
    """The cloud."""

    def __init__(self, cloud: Cloud, stations: list[Station]) -> None:
        self._cloud = cloud
        self.stations = stations

    def serve(self, random: Random, until: float) -> Way[bool]:
        if self._cloud.balancing == RANDOM:
            station = random.choice(self.stations)
        else:
            station = min(self.stations, key=lambda each: each.calls)
        return station.serve(self._cloud.model.seconds.draw(random), until)


class Uplink:
    def __init__(
        self, env: Environment, limits: Limits, places: Station, cloud: Replicas, random: Random
    ) -> None:
        self._env = env
        self._limits = limits
        self.places = places
        self._cloud = cloud
        self._random = random
        self._breaker = Breaker(env, limits)

    def call(self, round_trip: float) -> Way[str]:
        """Why the cloud did not answer; empty where it did."""
        if not self._breaker.lets_through:
            return BREAKER_OPEN
        if self.places.waiting >= self._limits.max_queue and self.places.full:
            return QUEUE_FULL
        patience = queue_limit(self._limits.timeout, self._limits.queue_timeout)
        reason = yield from self.places.during(self._attempt(round_trip), self._env.now + patience)
        return QUEUE_TIMEOUT if reason is None else reason

    def _attempt(self, round_trip: float) -> Way[str]:
        if not self._breaker.lets_through:
            return BREAKER_OPEN
        probe = self._breaker.begin()
        until = self._env.now + self._limits.timeout
        yield self._env.timeout(min(round_trip, self._limits.timeout))
        answered = yield from self._cloud.serve(self._random, until)
        self._breaker.learn(answered, probe)
        return "" if answered else TIMEOUT


class Breaker:
    """As predictors.upstream.breaker, by the simulation's clock, where every failure is a timeout:
    `breaker_failures` in a row open it, and `breaker_seconds` later one attempt is a probe."""

    def __init__(self, env: Environment, limits: Limits) -> None:
        self._env = env
        self._allowed = limits.breaker_failures or math.inf
        self._seconds = limits.breaker_seconds
        self._failures = 0
        self._until: float | None = None
        self._probing = False

    @property
    def lets_through(self) -> bool:
        return self._until is None or (self._env.now >= self._until and not self._probing)

    def begin(self) -> bool:
        """Whether this attempt is a probe."""
        self._probing = self._until is not None
        return self._probing

    def learn(self, answered: bool, probe: bool) -> None:
        """An attempt that began before it opened says nothing new once it has."""
        if self._until is not None and not probe:
            return
        self._probing = False
        self._failures = 0 if answered else self._failures + 1
        opens = self._failures >= self._allowed or (probe and not answered)
        self._until = self._env.now + self._seconds if opens else None
