"""How much feedback one client may send: who floods a store pushes out what others have said."""

import time
from collections.abc import Callable
from typing import Final

from predictors.errors import TooManyRequests
from transformers_hem.guards.buckets import MOST_CLIENTS, Buckets

_MINUTE: Final = 60.0


class Rate:
    """`most` feedbacks a minute of each client, in this process; 0: as many as come."""

    def __init__(
        self,
        most: int,
        clients: int = MOST_CLIENTS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._a_second = most / _MINUTE
        self._buckets = Buckets(most, self._a_second, clients, timer)

    def check(self, client: str) -> None:
        """Before a body is looked at: a request counts as one, whatever is in it. Raises
        TooManyRequests."""
        if not self._most:
            return
        whose = self._buckets.whose(client)
        left = self._buckets.left(whose)
        if left >= 1:
            self._buckets.leave(whose, left - 1)
        else:
            raise TooManyRequests(
                f"one client may send {self._most} feedbacks a minute; send it again later",
                (1 - left) / self._a_second,
            )

    def take(self, client: str, count: int) -> None:
        """So many that are kept now. What came in one request is never torn: what is too much of it
        is waited for the next time."""
        if self._most and count > 1:
            whose = self._buckets.whose(client)
            self._buckets.leave(whose, self._buckets.left(whose) - (count - 1))
