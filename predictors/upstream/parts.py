"""A call whose answer is read while it comes.

The call runs in a task of its own: its deadline, its place in the queue and the watch over it
belong to one task, whoever reads, and whenever.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, TypeAlias

from predictors.contract import Delta

Give: TypeAlias = Callable[[Delta], Awaitable[None]]

QUEUED: Final = 64  # parts that wait for a slow reader; then the server waits


async def parts(call: Callable[[Give], Awaitable[Delta]]) -> AsyncGenerator[Delta]:
    """What `call` gives away, then what it returns. Closed before that, the call is cancelled.

    Raises what it raises.
    """
    queue: asyncio.Queue[Delta | Exception] = asyncio.Queue(QUEUED)

    async def run() -> None:
        try:
            await queue.put(await call(queue.put))
        except Exception as error:
            await queue.put(error)

    task = asyncio.create_task(run())
    try:
        while True:
            part = await queue.get()
            if isinstance(part, Exception):
                raise part
            yield part
            if part.answer is not None:
                return
    finally:
        task.cancel()
        await asyncio.wait([task])
