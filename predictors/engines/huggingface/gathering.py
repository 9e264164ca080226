"""Whether a pass waits for those who were answered just now, and will ask again at once.

Without a wait, callers who ask in turn fall into two halves: while one half is in a pass the other
one's rounds arrive, and each pass has half of the rows that it could have. A pass costs `fixed`
seconds whoever is in it, so a wait of a part of that is worth it, where they do come back so soon.
Over a slow link nobody does: then it waits now and then only, to see whether that is still so. (Who
is not waited for says nothing: where all have one core, a pass keeps the answer from leaving.)
"""

import time
from typing import Final

WEIGHT: Final = 0.05  # of the newest one in a mean that forgets
LEAST: Final = 0.25  # of those who were answered have to be back in time
TRIES: Final = 8  # where they were not: one wait of so many


class Gathering:
    """Of one thread. `seconds`: how long it may wait; 0: never."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._back = 1.0  # the share that was in time, of those who were waited for
        self._turns = 0
        self._awaited: set[int] = set()  # slots
        self._until = 0.0

    def answered(self, slots: list[int]) -> None:
        """They may come again."""
        if not slots or not self.seconds:
            return
        now = time.perf_counter()
        if now >= self._until:
            self._missed()
            self._turns += 1
            if self._back < LEAST and self._turns % TRIES:
                return
            self._until = now + self.seconds
        self._awaited.update(slots)

    def came(self, slot: int) -> None:
        if slot in self._awaited:
            self._awaited.discard(slot)
            self._count(True)

    def left(self) -> float:
        """Seconds to wait still."""
        left = self._until - time.perf_counter()
        if left <= 0:
            self._missed()
        return left if self._awaited else 0.0

    def _missed(self) -> None:
        for _ in self._awaited:
            self._count(False)
        self._awaited.clear()

    def _count(self, in_time: bool) -> None:
        self._back += (in_time - self._back) * WEIGHT
