"""The rows of one request, however many, beside those of others."""

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")

TURN_ROWS: Final = 16


async def side_by_side(rows: Iterable[Coroutine[Any, Any, T]], at_once: int) -> list[T]:
    """The results in order, `at_once` rows at a time: what waits behind them in an engine's queue
    are the rows of other callers, not thousands of this one's. Where one row fails, or the caller
    is gone, the other rows are cancelled, and have ended when this raises."""
    rest = iter(rows)
    tasks = [asyncio.ensure_future(row) for row in islice(rest, at_once)]
    running = set(tasks)
    try:
        while len(running) == at_once:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            new = [asyncio.ensure_future(row) for row in islice(rest, len(done))]
            tasks += new
            running.update(new)
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def in_turns(rows: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """One row after the other, for what takes no time and seldom leaves the event loop: after
    every few rows the other callers have a turn."""
    results = []
    for number, row in enumerate(rows, 1):
        results.append(await row)
        if number % TURN_ROWS == 0:
            await asyncio.sleep(0)
    return results
