"""Who broke the batch: after a breakdown each sequence that was in it is tried alone.

One step is enough, as the step that failed is computed again. Who fails alone was the reason, the
others go on in the batch. Nobody enters it meanwhile, so that whoever is tried is really alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from predictors.errors import EngineError

# So many breakdowns in a row for which no sequence alone is the reason (no memory for all of them
# together, say) are taken for one that comes again; then all who were in the batch fail.
UNEXPLAINED: Final = 3
LOOK_SECONDS: Final = 0.001


class Breakdown(EngineError):
    """The batch has ended over one of its sequences, or over all of them together."""


class Suspects:
    """`occupied` says whether any sequence is in the batch."""

    def __init__(self, occupied: Callable[[], bool]) -> None:
        self._occupied = occupied
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._turn = asyncio.Lock()
        self._found = False
        self._unexplained = 0
        self.trying = False  # whether the one sequence in the batch is tried alone

    async def cleared(self) -> None:
        """Returns at once where nobody is suspected."""
        await self._none.wait()

    def all_is_well(self) -> None:
        """A sequence came to its end in the batch."""
        self._unexplained = 0

    async def try_alone(self, breakdown: Breakdown, step: Callable[[], Awaitable[None]]) -> None:
        """Raises what `step` does where it fails. The `breakdown` is raised itself where trying
        has led to nothing before."""
        if self._unexplained >= UNEXPLAINED:
            raise breakdown
        self._count += 1
        self._none.clear()
        try:
            async with self._turn:
                while self._occupied():
                    await asyncio.sleep(LOOK_SECONDS)
                await self._try(step)
        finally:
            self._count -= 1
            if not self._count:
                self._unexplained = 0 if self._found else self._unexplained + 1
                self._found = False
                self._none.set()

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        self.trying = True
        try:
            await step()
        except EngineError:
            self._found = True
            raise
        finally:
            self.trying = False
