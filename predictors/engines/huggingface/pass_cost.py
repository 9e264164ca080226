"""What a pass of a model through its slots takes, as a draft side has to know it: a drafted token
is worth a check where a token more in a pass costs less than another pass."""

import time
from typing import Final

from predictors.contract.speculation import PassCost
from predictors.engines.huggingface.slots import Slots

ROWS: Final = 4
TOKENS: Final = 5
BEHIND: Final = 32
TRIES: Final = 5
ENOUGH_SECONDS: Final = 1.0  # of measuring one size: a large model is tried once


def measured(slots: Slots) -> PassCost:
    """What the slots hold is lost."""
    rows = min(ROWS, slots.count)
    one, longer = _seconds(slots, 1, 1), _seconds(slots, 1, TOKENS)
    if rows == 1:
        token = max(longer - one, 0.0) / (TOKENS - 1)
        return PassCost(fixed=max(one - token, 0.0), row=0.0, token=token)
    wide, both = _seconds(slots, rows, 1), _seconds(slots, rows, TOKENS)
    token = max(longer - one + both - wide, 0.0) / ((TOKENS - 1) * (rows + 1))
    row = max((wide - one) / (rows - 1) - token, 0.0)
    return PassCost(fixed=max(one - row - token, 0.0), row=row, token=token)


def _seconds(slots: Slots, rows: int, tokens: int) -> float:
    spent: list[float] = []
    while len(spent) < TRIES and sum(spent) < ENOUGH_SECONDS:
        began = time.perf_counter()
        logits = slots.logits([*range(rows)], [BEHIND] * rows, [[0] * tokens] * rows)
        float(logits[0][0, 0])  # a GPU has computed it by then
        spent.append(time.perf_counter() - began)
    return min(spent)
