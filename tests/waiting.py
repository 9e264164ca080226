"""Waiting for what is about to be, as long as even a busy machine may take."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 60.0


async def until(holds: Callable[[], object]) -> None:
    """For what happens in this event loop."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.005)


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
