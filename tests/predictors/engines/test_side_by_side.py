"""The rows of one request, beside those of others."""

import asyncio

import pytest

from predictors.engines.side_by_side import in_turns, side_by_side


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 1000])
async def test_all_are_answered_in_order_and_never_more_at_once(rows: int) -> None:
    running, most = 0, 0

    async def row(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01 if number % 3 else 0)
        running -= 1
        return number

    assert await side_by_side(map(row, range(rows)), 4) == list(range(rows))
    assert most == min(rows, 4)


async def test_in_a_queue_another_caller_waits_for_a_few_rows_not_for_all() -> None:
    queue: asyncio.Queue[tuple[str, asyncio.Future[None]]] = asyncio.Queue()
    answered: list[str] = []

    async def engine() -> None:
        while True:
            name, future = await queue.get()
            answered.append(name)
            await asyncio.sleep(0)
            future.set_result(None)

    async def row(name: str) -> None:
        future = asyncio.get_running_loop().create_future()
        queue.put_nowait((name, future))
        await future

    working = asyncio.create_task(engine())
    rows = (row("large") for _ in range(5000))
    large = asyncio.create_task(side_by_side(rows, 8))
    while len(answered) < 100:
        await asyncio.sleep(0)
    await row("small")
    assert answered.index("small") < 100 + 3 * 8
    await large
    working.cancel()


@pytest.mark.parametrize("bad", [0, 3, 500])
async def test_one_failure_cancels_the_others_and_begins_no_more(bad: int) -> None:
    begun, cancelled = [], []

    async def row(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.sleep(0 if number < bad else 0.01)
            if number == bad:
                raise ValueError("the script says bad")
            if number > bad:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(ValueError, match="bad"):
        await side_by_side(map(row, range(1000)), 8)
    assert len(begun) <= bad + 16
    assert set(cancelled) == {number for number in begun if number > bad}


async def test_a_caller_who_leaves_takes_all_rows_along() -> None:
    begun, cancelled = 0, 0

    async def row() -> None:
        nonlocal begun, cancelled
        begun += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled += 1
            raise

    rows = (row() for _ in range(100))
    task = asyncio.create_task(side_by_side(rows, 8))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (begun, cancelled) == (8, 8)


async def test_rows_that_never_wait_let_others_in_between() -> None:
    async def row(number: int) -> int:
        return number

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert await in_turns(map(row, range(1600))) == list(range(1600))
    task.cancel()
    assert turns >= 90
