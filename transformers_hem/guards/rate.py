"""Keeps a client's requests at the edge once it has called the cloud as often as it may."""

import time
from collections.abc import Callable
from typing import ClassVar

from pydantic import Field

from predictors.contract import EDGE
from predictors.contract.usage import Usage
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.admission import Going, KeptAtEdge
from transformers_hem.guards.base import Guard
from transformers_hem.guards.buckets import MOST_CLIENTS, Buckets
from transformers_hem.guards.windows import Window


class RateParameters(AlgorithmParameters):
    """`calls` of each client in each `window` (10s, 1m, 1h) go to the cloud, `burst` of them at
    once (as many as `calls` if not given). `hard`: what the caller forces to the cloud is refused,
    too (429), where it would otherwise only be counted."""

    calls: int = Field(gt=0)
    window: Window = 60.0
    burst: int | None = Field(default=None, gt=0)
    hard: bool = False


class RateGuard(Guard):
    """A bucket of tokens for each client, in this process."""

    counts: ClassVar[bool] = True
    Parameters: ClassVar[type[AlgorithmParameters]] = RateParameters

    def __init__(
        self,
        parameters: RateParameters,
        most: int = MOST_CLIENTS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parameters = parameters
        size = parameters.burst or parameters.calls
        self._buckets = Buckets(size, parameters.calls / parameters.window, most, timer)

    def route(self, batch: Batch) -> Route | None:
        left = self._buckets.left(self._buckets.whose(batch.client))
        return None if left >= 1 else EDGE

    async def admit(self, going: Going) -> "HeldCall":
        client = self._buckets.whose(going.client)
        left = self._buckets.left(client) - 1
        if left < 0 and (self._parameters.hard or not going.forced):
            calls, seconds = self._parameters.calls, self._parameters.window
            raise KeptAtEdge(f"this client has called the cloud {calls} times in {seconds:g} s")
        self._buckets.leave(client, max(0.0, left))
        return HeldCall(self._buckets, client)


class HeldCall:
    """A token that a call has taken from a client's bucket."""

    def __init__(self, buckets: Buckets, client: str) -> None:
        self._buckets = buckets
        self._client = client

    def settle(self, usage: Usage | None, model: str) -> None:
        """One that used nothing was not made."""
        if usage == Usage():
            self._buckets.give_back(self._client)
