"""When the other side is asked as well, because the first one is slower than usual: J. Dean and
L. Barroso, The Tail at Scale, Communications of the ACM 56(2), 2013."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.guards.admission import KeptAtEdge

KEPT: Final = 500  # waits, of each side
FEWEST: Final = 40  # from which a percentile is known
# Of the requests, besides those that the percentile leaves: what is usual changes.
MORE: Final = 0.005
BURST: Final = 5.0


class Hedging:
    """Off where `percentile` is None. At most 100 - percentile of a hundred requests are hedged,
    and half a one, whatever happens to the waits."""

    def __init__(self, percentile: float | None) -> None:
        self._share = None if percentile is None else 1 - percentile / 100
        self._waits: dict[tuple[Route, bool], deque[float]] = {}
        self._left = 1.0

    @property
    def on(self) -> bool:
        return self._share is not None

    def waited(self, route: Route, streams: bool, seconds: float) -> None:
        """For the first token, or for a whole answer; or as long, and then for nothing."""
        if self._share is not None:
            self._of(route, streams).append(seconds)

    def after(self, route: Route, streams: bool) -> float | None:
        """Seconds after which the other side is asked, too. None: it is not."""
        if self._share is None:
            return None
        self._left = min(BURST, self._left + self._share + MORE)
        waits = self._of(route, streams)
        if len(waits) < FEWEST:
            return None
        return sorted(waits)[math.ceil((1 - self._share) * len(waits)) - 1]

    def _of(self, route: Route, streams: bool) -> deque[float]:
        return self._waits.setdefault((route, streams), deque(maxlen=KEPT))

    def take(self) -> bool:
        """Whether one may be asked now."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def race(
    outlet: Outlet,
    first: Callable[[], Coroutine[Any, Any, None]],
    second: Callable[[], Coroutine[Any, Any, None]],
    seconds: float,
    may: Callable[[], bool],
) -> None:
    """Runs `first`, and where that has said nothing after so many seconds `second` beside it; the
    one that claims the outlet goes on alone. Raises HEMError of the last one that failed."""
    tasks = [asyncio.create_task(first())]

    def claimed() -> None:
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()

    outlet.on_claim = claimed
    try:
        await asyncio.wait(tasks, timeout=seconds)
        if not (tasks[0].done() or outlet.claimed or outlet.said) and may():
            tasks.append(asyncio.create_task(second()))
        while pending := [task for task in tasks if not task.done()]:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        outlet.on_claim = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ends = [task.exception() for task in tasks if not task.cancelled()]
    if None not in ends and ends:
        # A second one that a guard let not go has failed at nothing.
        failed = [end for end in ends if not isinstance(end, KeptAtEdge)] or ends
        assert failed[-1] is not None
        raise failed[-1]
