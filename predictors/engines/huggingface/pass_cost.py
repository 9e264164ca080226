"""What a pass of a model through its slots takes, as a draft side has to know it: a drafted token
is worth a check where a token more in a pass costs less than another pass."""

import statistics
import time
from typing import Final

from predictors.contract.speculation import PassCost
from predictors.engines.huggingface.slots import Slots

ROWS: Final = 4
TOKENS: Final = 5
BEHIND: Final = 32
TRIES: Final = 24
ENOUGH_SECONDS: Final = 1.0  # of measuring in all: a large model is tried once
OF_LATE: Final = 64  # passes
FEWEST: Final = 16  # of them before they tell anything, and from one look at them to the next


def measured(slots: Slots) -> PassCost:
    """What the slots hold is lost. The least of many tries counts, as others may use the machine
    now; all sizes are tried in turn, so that a while in which they do is no size's alone."""
    rows = min(ROWS, slots.count)
    sizes = [(1, 1), (1, TOKENS), *([(rows, 1), (rows, TOKENS)] if rows > 1 else [])]
    spent = _seconds(slots, *sizes[0])  # the first pass of all takes longer
    least = dict.fromkeys(sizes, float("inf"))
    for _ in range(TRIES):
        for size in sizes:
            seconds = _seconds(slots, *size)
            least[size] = min(least[size], seconds)
            spent += seconds
        if spent >= ENOUGH_SECONDS:
            break
    one, longer = least[1, 1], least[1, TOKENS]
    if rows == 1:
        token = max(longer - one, 0.0) / (TOKENS - 1)
        return PassCost(fixed=max(one - token, 0.0), row=0.0, token=token)
    wide, both = least[rows, 1], least[rows, TOKENS]
    token = max(longer - one + both - wide, 0.0) / ((TOKENS - 1) * (rows + 1))
    row = max((wide - one) / (rows - 1) - token, 0.0)
    return PassCost(fixed=max(one - row - token, 0.0), row=row, token=token)


def _seconds(slots: Slots, rows: int, tokens: int) -> float:
    began = time.perf_counter()
    logits = slots.logits([*range(rows)], [BEHIND] * rows, [[0] * tokens] * rows)
    float(logits[0][0, 0])  # a GPU has computed it by then
    return time.perf_counter() - began


class LiveCost:
    """What a pass takes of late. Its parts are to each other as they were `measured` at the start;
    how much they are in all is what real passes take, with what is done with their logits: so a
    machine that was busy at the start, or is by now, is noticed. One thread adds to it."""

    def __init__(self, measured: PassCost) -> None:
        self._measured = measured
        self._ratios = [1.0] * OF_LATE
        self._count = 0
        self.now = measured

    def took(self, rows: int, tokens: int, seconds: float) -> bool:
        """A pass of so many rows, and `tokens` of all of them together. Whether `now` is new."""
        expected = self._measured.seconds(rows, tokens)
        if expected <= 0:
            return False
        self._ratios[self._count % OF_LATE] = seconds / expected
        self._count += 1
        if self._count % FEWEST:
            return False
        times = statistics.median(self._ratios[: self._count])
        self.now = self._measured.times(times)
        return True
