"""An event loop whose seconds pass at once: where all wait, its clock goes on to the first that is
due. For tests of time limits that ask no other process and no thread."""

import asyncio
import selectors
import time
from typing import Any


class _Waiting(selectors.DefaultSelector):
    """What the loop waits by."""

    def __init__(self) -> None:
        super().__init__()
        self.now = time.monotonic()

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(None if timeout is None else 0)
        if timeout is not None and not events:
            self.now += max(timeout, 0.0)
        return events


class QuickLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._waiting = _Waiting()
        super().__init__(self._waiting)

    def time(self) -> float:
        return self._waiting.now
