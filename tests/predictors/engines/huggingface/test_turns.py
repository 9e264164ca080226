"""A thread has the model at once while nobody is in the batch, and whoever joins waits for it."""

import asyncio

from predictors.engines.huggingface.turns import PAUSES, Turns


def paused(turns: Turns, times: int) -> None:
    for _ in range(times):
        turns.paused()
        turns.resumed()


async def test_nothing_is_paused_once_the_batch_is_known_to_be_idle() -> None:
    turns = Turns()
    assert not turns.takes(stopped=False)  # it may be in its last pass
    paused(turns, PAUSES - 1)
    assert not turns.takes(stopped=False)
    paused(turns, 1)
    assert turns.takes(stopped=False)
    turns.gives()
    async with turns.in_batch():
        assert not turns.takes(stopped=False)
    assert not turns.takes(stopped=False)  # it was in the batch since


async def test_several_threads_in_one_pause_count_once() -> None:
    turns = Turns()
    for _ in range(PAUSES):
        turns.paused()
    assert not turns.takes(stopped=False)


async def test_a_batch_that_does_not_run_needs_no_pause_but_for_who_joins_it() -> None:
    turns = Turns()
    assert turns.takes(stopped=True)
    turns.gives()
    async with turns.in_batch():
        assert not turns.takes(stopped=True)


async def test_who_joins_the_batch_waits_until_every_thread_has_given_the_model_back() -> None:
    turns = Turns()
    assert turns.takes(stopped=True) and turns.takes(stopped=True)
    came = asyncio.Event()

    async def join() -> None:
        async with turns.in_batch():
            came.set()

    joining = asyncio.ensure_future(join())
    await asyncio.sleep(0)
    assert not turns.takes(stopped=True)  # no new one gets in front
    turns.gives()
    await asyncio.sleep(0.01)
    assert not came.is_set()
    turns.gives()
    async with asyncio.timeout(5):
        await joining
    assert came.is_set()


async def test_who_leaves_while_waiting_is_not_waited_for() -> None:
    turns = Turns()
    assert turns.takes(stopped=True)

    async def join() -> None:
        async with turns.in_batch():
            raise AssertionError("it came in")

    joining = asyncio.ensure_future(join())
    await asyncio.sleep(0)
    joining.cancel()
    await asyncio.wait([joining])
    assert turns.takes(stopped=True)
    turns.gives()
    turns.gives()
