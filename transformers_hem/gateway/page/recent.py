"""The last requests of a process, and sums over all of them; never a text."""

import math
import statistics
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import chain, count
from operator import itemgetter
from typing import Any, Final

from predictors.contract import CLOUD, EDGE
from predictors.contract.usage import Usage
from predictors.prices import Price, Prices
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.finished import Finished
from transformers_hem.gateway.page.drafts import Drafts

KEPT: Final = 200  # requests that are listed, and as many copies
TIMED: Final = 200  # chats of each side whose times are summed up
SIDES: Final[tuple[Route, ...]] = (EDGE, CLOUD)


class Recent:
    """Numbers requests from 1 as they end; bounded, in memory, gone with the process.
    `clouds_model` is the name by which the cloud's model is asked, empty as long as it is unknown.
    """

    def __init__(
        self, prices: Callable[[], Prices | None], clouds_model: Callable[[], str] = str
    ) -> None:
        self._prices = prices
        self._asked = clouds_model
        self._numbers = count(1)
        self.last = 0
        # Copies apart, so that a program's thousands don't push out what users asked.
        self._kept: dict[bool, deque[tuple[int, Finished]]] = {
            copy: deque(maxlen=KEPT) for copy in (False, True)
        }
        self.copies: Counter[Route] = Counter()  # all of them, since the start
        self._timed: dict[Route, deque[Finished]] = {r: deque(maxlen=TIMED) for r in SIDES}
        self._served = ""  # the name in the cloud's last answer
        self.failed = 0
        self.drafts = Drafts()
        # What the cloud would have cost for the edge's answers, less what they cost. None: unknown.
        self.saved: float | None = None

    def add(self, finished: Finished) -> None:
        self.last = next(self._numbers)
        copy = _is_copy(finished)
        self._kept[copy].append((self.last, finished))
        if copy and finished.decision is not None:
            self.copies[finished.decision.route] += 1
        if finished.status >= 400:
            self.failed += 1
        elif finished.by is not None:
            self._timed[finished.by].append(finished)
            self.drafts.add(finished)
            if finished.by == CLOUD:
                self._served = finished.model
            elif (saved := self._saving(finished)) is not None:
                self.saved = (self.saved or 0.0) + saved

    def after(self, number: int, most: int) -> list[dict[str, Any]]:
        """Newest first; at most so many of users, and as many copies."""
        newer = (
            [(n, each) for n, each in reversed(kept) if n > number][:most]
            for kept in self._kept.values()
        )
        return [_row(n, each) for n, each in sorted(chain(*newer), key=itemgetter(0), reverse=True)]

    def times(self) -> dict[str, Any]:
        """Of each side that has answered chats: seconds to the first token and to the end."""
        return {
            route: {
                "chats": len(timed),
                "first": _spread(t.first_token for t in timed if t.first_token is not None),
                "whole": _spread(t.seconds for t in timed),
                "cost": _mean(t.cost for t in timed if t.cost is not None),
            }
            for route, timed in self._timed.items()
            if timed
        }

    def clouds_price(self) -> tuple[str, Price] | None:
        """With the name that has it."""
        prices = self._prices()
        for name in (self._served, self._asked()):
            if prices and (price := prices.models.get(name)):
                return name, price
        return None

    def _saving(self, finished: Finished) -> float | None:
        priced = self.clouds_price()
        if priced is None or finished.usage is None:
            return None
        return priced[1].cost(finished.usage) - (finished.cost or 0.0)


def _is_copy(finished: Finished) -> bool:
    """A V2 request that named its side, such as `hem batch` sends for what both sides say. The
    page's own choice of a side is a chat."""
    decision = finished.decision
    return finished.way == "v2" and decision is not None and decision.reason == "prefer"


def _row(number: int, finished: Finished) -> dict[str, Any]:
    decision, usage = finished.decision, finished.usage or Usage()
    about = decision and {
        "route": decision.route,
        "score": decision.score,
        "threshold": decision.threshold,
        "reason": decision.reason,
        "algorithm": decision.algorithm,
    }
    return {
        "n": number,
        "at": finished.at,
        "way": finished.way,
        "copy": _is_copy(finished),
        **(about or {"route": None, "reason": None}),
        "status": finished.status,
        "by": finished.by,
        "model": finished.model,
        "tokens": [usage.prompt_tokens, usage.completion_tokens] if finished.usage else None,
        "first": finished.first_token,
        "seconds": finished.seconds,
        "cost": finished.cost,
        "degraded": finished.degraded,
    }


def _spread(seconds: Iterable[float]) -> dict[str, float] | None:
    """Half and 95 of a hundred are at most so long."""
    values = sorted(seconds)
    if not values:
        return None
    return {"median": statistics.median(values), "p95": values[math.ceil(0.95 * len(values)) - 1]}


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.fmean(known) if known else None
