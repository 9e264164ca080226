"""Buckets of tokens, one for each client of this process: so many at once, so many a second."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_CLIENTS: Final = 10_000
_OTHERS: Final = "\0others"  # neither a client's hash nor a token's name


@dataclass(slots=True)
class Bucket:
    """`tokens` that were there at the time `at`."""

    tokens: float
    at: float


class Buckets:
    """Of `size` tokens, which come back at `rate` a second. One that is full again is forgotten;
    where `most` clients have buckets that are not, all others share one."""

    def __init__(
        self,
        size: float,
        rate: float,
        most: int = MOST_CLIENTS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._rate = rate
        self._most = most
        self._timer = timer
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def whose(self, client: str) -> str:
        """Whose bucket this client has. A newcomer takes the place of who has waited longest, if
        that bucket is full again."""
        if client in self._buckets or len(self._buckets) < self._most:
            return client
        oldest, bucket = next(iter(self._buckets.items()))
        if self._left(bucket) < self._size:
            return _OTHERS
        del self._buckets[oldest]
        return client

    def left(self, whose: str) -> float:
        return self._left(self._buckets.get(whose))

    def leave(self, whose: str, tokens: float) -> None:
        """So many from now on; fewer than none are a debt."""
        self._buckets[whose] = Bucket(tokens, self._timer())
        self._buckets.move_to_end(whose)

    def give_back(self, whose: str) -> None:
        """One that was not needed."""
        left = self.left(whose) + 1
        self._buckets[whose] = Bucket(min(self._size, left), self._timer())

    def _left(self, bucket: Bucket | None) -> float:
        if bucket is None:
            return self._size
        return min(self._size, bucket.tokens + (self._timer() - bucket.at) * self._rate)
