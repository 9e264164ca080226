"""Keeps a client's requests at the edge once it has called the cloud as often as it may."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from pydantic import Field

from predictors.contract import EDGE
from predictors.contract.usage import Usage
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.admission import Going, KeptAtEdge
from transformers_hem.guards.base import Guard
from transformers_hem.guards.windows import Window

MOST_CLIENTS: Final = 10_000
_OTHERS: Final = "others"  # no client's hash


class RateParameters(AlgorithmParameters):
    """`calls` of each client in each `window` (10s, 1m, 1h) go to the cloud, `burst` of them at
    once (as many as `calls` if not given). `hard`: what the caller forces to the cloud is refused,
    too (429), where it would otherwise only be counted."""

    calls: int = Field(gt=0)
    window: Window = 60.0
    burst: int | None = Field(default=None, gt=0)
    hard: bool = False


@dataclass(slots=True)
class Bucket:
    """`tokens` that were there at the time `at`."""

    tokens: float
    at: float


class RateGuard(Guard):
    """A bucket of tokens for each client, in this process. One that is full again is forgotten;
    where `most` clients have buckets that are not, all others share one."""

    counts: ClassVar[bool] = True
    Parameters: ClassVar[type[AlgorithmParameters]] = RateParameters

    def __init__(
        self,
        parameters: RateParameters,
        most: int = MOST_CLIENTS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameters = parameters
        self._size = parameters.burst or parameters.calls
        self._rate = parameters.calls / parameters.window
        self._most = most
        self._timer = timer
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def route(self, batch: Batch) -> Route | None:
        client = self._whose(batch.client)
        return None if self._tokens(self._buckets.get(client)) >= 1 else EDGE

    async def admit(self, going: Going) -> "HeldCall":
        client = self._whose(going.client)
        left = self._tokens(self._buckets.get(client)) - 1
        if left < 0 and (self._parameters.hard or not going.forced):
            calls, seconds = self._parameters.calls, self._parameters.window
            raise KeptAtEdge(f"this client has called the cloud {calls} times in {seconds:g} s")
        self._buckets[client] = Bucket(max(0.0, left), self._timer())
        self._buckets.move_to_end(client)
        return HeldCall(self, client)

    def give_back(self, client: str) -> None:
        """A call that was not made."""
        left = self._tokens(self._buckets.get(client)) + 1
        self._buckets[client] = Bucket(min(self._size, left), self._timer())

    def _tokens(self, bucket: Bucket | None) -> float:
        if bucket is None:
            return self._size
        return min(self._size, bucket.tokens + (self._timer() - bucket.at) * self._rate)

    def _whose(self, client: str) -> str:
        """A newcomer takes the place of who has waited longest, if that bucket is full again."""
        if client in self._buckets or len(self._buckets) < self._most:
            return client
        oldest, bucket = next(iter(self._buckets.items()))
        if self._tokens(bucket) < self._size:
            return _OTHERS
        del self._buckets[oldest]
        return client


class HeldCall:
    """A token that a call has taken from a client's bucket."""

    def __init__(self, guard: RateGuard, client: str) -> None:
        self._guard = guard
        self._client = client

    def settle(self, usage: Usage | None, model: str) -> None:
        """One that used nothing was not made."""
        if usage == Usage():
            self._guard.give_back(self._client)
