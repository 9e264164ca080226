"""The cloud goes on behind what the caller has of the edge's answer, whose stream waits until the
cloud speaks, and goes on itself where it does not."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from transformers_hem.gateway.outlet import Outlet


class Takeover:
    """Within it one may `begin`; at its end that has ended, too, and raises what it raises."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        return self._task is not None

    async def begin(self, go_on: Coroutine[Any, Any, None], on_claim: Callable[[], None]) -> None:
        """Returns as soon as `go_on` has claimed the outlet. Raises HEMError where it fails
        before."""
        claimed = asyncio.Event()

        def claim() -> None:
            on_claim()
            claimed.set()

        self._outlet.release()
        self._outlet.on_claim = claim
        task = asyncio.create_task(go_on)
        waits = asyncio.create_task(claimed.wait())
        try:
            await asyncio.wait((task, waits), return_when=asyncio.FIRST_COMPLETED)
            if self._outlet.claimed:
                self._task = task
            else:
                await task
        finally:
            self._outlet.on_claim = None
            waits.cancel()
            if self._task is None:
                await _ended(task)

    async def __aenter__(self) -> "Takeover":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._task is None:
            return
        try:
            if kind is None:
                await self._task
        finally:
            await _ended(self._task)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
