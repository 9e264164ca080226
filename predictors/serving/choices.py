"""The choices of one request, each answered by a task of its own, in one queue as they come."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Final, NamedTuple

from predictors.contract import Delta, Query
from predictors.engines.base import TextEngine
from predictors.engines.side_by_side import side_by_side

# Deltas that wait for a reader who is slow; then the engine waits.
QUEUED: Final = 64
# Choices that are asked of the engine at once; the others wait for their turn.
AT_ONCE: Final = 64


class Arrived(NamedTuple):
    choice: int
    delta: Delta


class Choices:
    """Use as `async with`: left, nothing of it runs any more. `next` gives what comes, None at the
    end, and raises what a choice raised; the others are then of no use."""

    def __init__(self, engine: TextEngine, queries: Sequence[Query]) -> None:
        self._engine = engine
        self._queries = queries
        self._queue: asyncio.Queue[Arrived | BaseException | None] = asyncio.Queue(QUEUED)
        self._task: asyncio.Task[None] | None = None

    async def whole(self) -> list[list[Delta]]:
        """All deltas of each choice."""
        return await side_by_side(map(self._engine.whole, self._queries), AT_ONCE)

    async def __aenter__(self) -> "Choices":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def next(self) -> Arrived | None:
        item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    async def _run(self) -> None:
        try:
            await side_by_side((self._each(i) for i in range(len(self._queries))), AT_ONCE)
        except Exception as error:
            await self._queue.put(error)
        else:
            await self._queue.put(None)

    async def _each(self, index: int) -> None:
        async with aclosing(self._engine.stream(self._queries[index])) as deltas:
            async for delta in deltas:
                await self._queue.put(Arrived(index, delta))
