"""The choices of one request, each answered by a task of its own, in one queue as they come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing
from types import TracebackType
from typing import Final, NamedTuple, Protocol

from predictors.contract import Delta, Query
from predictors.engines.base import TextEngine
from predictors.engines.side_by_side import side_by_side
from predictors.serving.answers import Call

# Deltas that wait for a reader who is slow; then the engine waits.
QUEUED: Final = 64
# Choices that are asked of the engine at once; the others wait for their turn.
AT_ONCE: Final = 64


class Arrived(NamedTuple):
    choice: int
    delta: Delta


class Counted(Protocol):
    """What counts one choice: `answers.Answers.text` of an operation."""

    def __call__(self, *, streams: bool = False) -> AbstractContextManager[Call]: ...


class Choices:
    """Use as `async with`: left, nothing of it runs any more."""

    def __init__(self, engine: TextEngine, queries: Sequence[Query], counted: Counted) -> None:
        self._engine = engine
        self._counted = counted
        self._queries = queries
        self._queue: asyncio.Queue[Arrived | BaseException | None] = asyncio.Queue(QUEUED)
        self._task: asyncio.Task[None] | None = None

    async def whole(self) -> list[list[Delta]]:
        """All deltas of each choice."""
        return await side_by_side(map(self._whole, self._queries), AT_ONCE)

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

    async def arrivals(self, patience: float) -> AsyncIterator[Arrived | None]:
        """What comes, and None as often as nothing came for `patience` seconds.

        Raises what a choice raised; the others are then of no use.
        """
        while True:
            try:
                item = self._queue.get_nowait()
            except asyncio.QueueEmpty:
                try:
                    async with asyncio.timeout(patience):
                        item = await self._queue.get()
                except TimeoutError:
                    yield None
                    continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    async def _run(self) -> None:
        try:
            await side_by_side((self._each(i) for i in range(len(self._queries))), AT_ONCE)
        except Exception as error:
            await self._queue.put(error)
        else:
            await self._queue.put(None)

    async def _whole(self, query: Query) -> list[Delta]:
        with self._counted() as call:
            deltas = await self._engine.whole(query)
            call.gave(delta.answer for delta in deltas)
        return deltas

    async def _each(self, index: int) -> None:
        with self._counted(streams=True) as call:
            async with aclosing(self._engine.stream(self._queries[index])) as deltas:
                async for delta in deltas:
                    call.begins()
                    call.gave([delta.answer])
                    await self._queue.put(Arrived(index, delta))
