"""Whether a pass waits for those who were answered just now, and will ask again at once.

Without a wait, callers who ask in turn fall into two halves: while one half is in a pass the other
one's rounds arrive, and each pass has half of the rows that it could have. A pass costs `fixed`
seconds whoever is in it, so a wait of a part of that is worth it, where they do come back so soon.
It is longer the more of them there are: they are answered, and heard, one after another, and on a
processor that does that and the passes, too, no time is lost by it.

Over a slow link nobody is back in time: then it waits now and then only, to see whether that is
still so. Each slot is looked at by itself, as callers near and far may share a server. (Who is not
waited for says nothing: where all have one core, a pass keeps the answer from leaving.)
"""

import time
from typing import Final

WEIGHT: Final = 0.25  # of the newest one in a mean that forgets
LEAST: Final = 0.25  # of the times that a slot was waited for it has to be back in time
TRIES: Final = 32  # where it was not: one wait of so many
EACH_SECONDS: Final = 0.0005  # an answer's leaving and the next question's coming take a server


class Gathering:
    """Of one thread. `seconds`: how long it may wait, beside the time for each; 0: never."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._back: dict[int, float] = {}  # by slot: the share of times that it was in time
        self._turns = 0
        self._awaited: set[int] = set()  # slots
        self._until = 0.0

    def answered(self, slots: list[int]) -> None:
        """They may come again."""
        if not slots or not self.seconds:
            return
        now = time.perf_counter()
        if begins := now >= self._until or not self._awaited:
            self._missed()
            self._turns += 1
        tries = self._turns % TRIES == 0
        hoped = [slot for slot in slots if tries or self._back.get(slot, 1.0) >= LEAST]
        if not hoped:
            return
        if begins:
            self._until = now + self.seconds
        self._until += EACH_SECONDS * len(hoped)
        self._awaited.update(hoped)

    def came(self, slot: int) -> None:
        if slot in self._awaited:
            self._awaited.discard(slot)
            self._count(slot, True)

    def left(self) -> float:
        """Seconds to wait still."""
        left = self._until - time.perf_counter()
        if left <= 0:
            self._missed()
        return left if self._awaited else 0.0

    def _missed(self) -> None:
        for slot in self._awaited:
            self._count(slot, False)
        self._awaited.clear()

    def _count(self, slot: int, in_time: bool) -> None:
        back = self._back.get(slot, 1.0)
        self._back[slot] = back + (in_time - back) * WEIGHT
