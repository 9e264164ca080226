"""What a pass takes, on a machine that is busy now and then."""

import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
import torch

from predictors.contract.speculation import PassCost
from predictors.engines.huggingface.pass_cost import FEWEST, OF_LATE, LiveCost, measured

COST = PassCost(fixed=0.002, row=0.0004, token=0.0001)


class BusySlots:
    """A pass takes what COST says, and of each seven in a row the first five take longer."""

    count = 8

    def __init__(self, longer: float) -> None:
        self._numbers: Iterator[int] = count()
        self._longer = longer

    def logits(
        self, slots: Sequence[int], starts: Sequence[int], tokens: Sequence[Sequence[int]]
    ) -> list[torch.Tensor]:
        busy = self._longer if next(self._numbers) % 7 < 5 else 0.0
        time.sleep(COST.seconds(len(slots), sum(map(len, tokens))) + busy)
        return [torch.zeros(1, 1)]


def test_what_others_use_the_machine_for_is_no_part_of_a_pass() -> None:
    slots: Any = BusySlots(0.004)
    told = measured(slots)
    for rows, tokens in ((1, 1), (1, 5), (4, 4), (4, 20)):
        assert told.seconds(rows, tokens) == pytest.approx(COST.seconds(rows, tokens), rel=0.4)


@pytest.mark.parametrize("times", [0.4, 1.0, 3.0])
def test_real_passes_tell_how_much_it_is_by_now(times: float) -> None:
    live = LiveCost(COST)
    for number in range(2 * OF_LATE):
        rows, tokens = 1 + number % 4, 5 * (1 + number % 4)
        seconds = times * COST.seconds(rows, tokens)
        news = live.took(rows, tokens, seconds * (9 if number % 5 == 0 else 1))
        assert news == ((number + 1) % FEWEST == 0)
    assert live.now.model_dump() == pytest.approx(COST.times(times).model_dump())


def test_a_few_passes_tell_nothing_yet() -> None:
    live = LiveCost(COST)
    for _ in range(FEWEST - 1):
        assert not live.took(1, 1, 1.0)
    assert live.now == COST
