"""Slots of the sequences whose drafts are checked."""

import asyncio

import pytest

from predictors.contract import Sampling
from predictors.contract.speculation import Drawing, Forgotten, Round, Whole
from predictors.engines.huggingface.remembering import IDLE_SECONDS, Memory

DRAWING = Drawing.of(Sampling(temperature=0.0), 0, coupled=True)
WHOLE = Whole(tokens=[1], prompt=1, drawing=DRAWING)


async def test_a_sequence_that_is_given_up_makes_room_at_once() -> None:
    memory = Memory(1)
    async with memory.held(Round(id="a", at=1, whole=WHOLE)) as first:
        memory.forget("a")  # not while somebody uses it
    async with memory.held(Round(id="a", at=1)) as same:
        assert same is first
    memory.forget("a")
    memory.forget("a")
    async with asyncio.timeout(IDLE_SECONDS / 2):
        async with memory.held(Round(id="b", at=1, whole=WHOLE)) as other:
            assert (other.slot, other.cached) == (first.slot, 0)
    with pytest.raises(Forgotten):
        async with memory.held(Round(id="a", at=1)):
            pass
