"""The rows of one request, answered at the same time."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def side_by_side(rows: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. Where one row fails, or the caller is gone, the other rows are
    cancelled, and have ended when this raises."""
    tasks = [asyncio.ensure_future(row) for row in rows]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
