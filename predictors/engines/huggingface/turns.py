"""Whose turn it is with a model: the continuous batch's, or that of a thread apart from it.

To pause the batch takes longer than a small model's pass: its thread has to wake up and to answer.
While no sequence is in the batch there is nothing to pause, and a thread takes its turn at once;
whoever joins the batch waits for it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# After its last sequence has left, cancelled perhaps, the batch may still be in a pass, and take
# another step before it hears of it. When it has paused a second time it has.
PAUSES: Final = 2


class Turns:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_batch = 0
        self._apart = 0
        self._pausing = 0
        self._pauses = 0  # since the last sequence left
        self._joining: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def in_batch(self) -> AsyncIterator[None]:
        """Around a sequence's time in the batch: it begins when no thread has the model."""
        free = self._join()
        try:
            if free is not None:
                await free
            yield
        finally:
            with self._lock:
                self._in_batch -= 1

    def _join(self) -> asyncio.Future[None] | None:
        with self._lock:
            self._in_batch += 1
            self._pauses = 0
            if not self._apart:
                return None
            loop = asyncio.get_running_loop()
            free = loop.create_future()
            self._joining.append((loop, free))
            return free

    def takes(self, *, stopped: bool) -> bool:
        """Whether the calling thread has the model now, until it `gives` it back. `stopped`: there
        is no batch."""
        with self._lock:
            if self._in_batch or not (stopped or self._pauses >= PAUSES):
                return False
            self._apart += 1
            return True

    def gives(self) -> None:
        with self._lock:
            self._apart -= 1
            joining = []
            if not self._apart:
                joining, self._joining = self._joining, joining
        for loop, free in joining:
            loop.call_soon_threadsafe(_resolve, free)

    def paused(self) -> None:
        """The batch pauses for the calling thread; several may share one pause."""
        with self._lock:
            self._pausing += 1
            if self._pausing == 1 and not self._in_batch:
                self._pauses += 1

    def resumed(self) -> None:
        """After the calling thread has ended its pause: another one before that is the same one."""
        with self._lock:
            self._pausing -= 1


def _resolve(free: asyncio.Future[None]) -> None:
    if not free.done():
        free.set_result(None)
