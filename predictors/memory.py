"""How many bytes the calls in flight may hold, all together: bodies received and answers read.

A limit for each is no limit for all: 256 calls of 64 MiB are 16 GiB. Imports nothing heavy.
"""

import asyncio
import ctypes
import functools
from contextvars import ContextVar
from typing import Final

from predictors.errors import Overloaded

DEFAULT_BYTES_IN_FLIGHT: Final = 32 * 1024 * 1024
# Of each call, not counted: who asks little is answered while others hold all there is.
FREE_BYTES: Final = 64 * 1024
# A call that held as much leaves free pages behind, which the C library keeps.
BURST_BYTES: Final = 1024 * 1024
TRIM_SECONDS: Final = 1.0


class ByteBudget:
    """Of one server."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._trimming = False

    def call(self) -> "Hold":
        """Around one call; within it, HOLD is what it holds."""
        return Hold(self)

    def trim_soon(self) -> None:
        """Gives free pages back to the system, in a thread, once for a burst."""
        if not self._trimming:
            self._trimming = True
            asyncio.get_running_loop().call_later(TRIM_SECONDS, self._trim)

    def _trim(self) -> None:
        self._trimming = False
        asyncio.get_running_loop().run_in_executor(None, give_back)


class Hold:
    """What one call holds, while it is entered. Not a generator, which costs each call more."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._bytes = 0
        self._counted = 0

    def __enter__(self) -> "Hold":
        self._token = HOLD.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        HOLD.reset(self._token)
        self.release()

    def take(self, size: int) -> None:
        """So many bytes more, until the call ends. Raises Overloaded where all calls together hold
        too many."""
        budget = self._budget
        self._bytes += size
        more = max(0, self._bytes - FREE_BYTES) - self._counted
        if more > 0 and budget.held + more > budget.limit:
            raise Overloaded(
                f"no room for {self._bytes} bytes of this call: all calls in flight hold "
                f"{budget.held} of {budget.limit} (max_bytes_in_flight); try again later"
            )
        self._counted += more
        budget.held += more

    def release(self) -> None:
        self._budget.held -= self._counted
        if self._counted > BURST_BYTES:
            self._budget.trim_soon()
        self._counted = 0


# Of the call that is served; None for who calls others without being called.
HOLD: ContextVar[Hold | None] = ContextVar("hold", default=None)


def hold(size: int) -> None:
    """So many bytes more for the call that is served. Raises Overloaded."""
    current = HOLD.get()
    if current is not None:
        current.take(size)


def give_back() -> None:
    """Free pages of the C library's heap, to the system; only glibc keeps so many."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> "ctypes._NamedFuncPointer | None":
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
