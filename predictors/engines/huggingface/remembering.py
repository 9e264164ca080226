"""The sequences that the verify side remembers between rounds, each with a slot of the cache.

There may be more of them than slots. One that has ended makes room first, then one that was idle
for long, or had its turn; the others wait, in the order in which they came. So each gets along, and
a slot is not lost to another between any two rounds: each time that costs computing a whole prompt.
"""

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from predictors.contract import Sampling
from predictors.contract.speculation import Forgotten, Round, Whole

IDLE_SECONDS: Final = 0.5  # between two rounds: beyond it nobody may come any more
TURN_SECONDS: Final = 2.0  # that a slot is kept, with others waiting


@dataclass(slots=True, eq=False)
class Remembered:
    """`tokens` are known, of which the first `cached` are in the slot. `said`: log-probability and
    margin of each token behind the whole that was told. `waiting`: rounds that want to know more.

    A thread that checks adds to `said` first, then to `tokens`, so that whoever reads these knows
    those. It may still be at work for a caller who has left, when the next one begins anew: both
    hold `changing`, and what was computed for another `whole` is thrown away."""

    slot: int
    whole: Whole
    sampling: Sampling
    tokens: list[int]
    said: list[tuple[float, float]] = field(default_factory=list)
    cached: int = 0
    ended: bool = False
    waiting: list[Round] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    changing: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    since: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, slot: int, whole: Whole) -> "Remembered":
        return cls(slot, whole, whole.drawing.sampling(), list(whole.tokens))

    @property
    def told(self) -> int:
        return len(self.whole.tokens)

    def agrees(self, whole: Whole) -> bool:
        """Whether it is that whole, and all that it has behind it is known."""
        return (
            len(whole.tokens) >= self.told
            and self.tokens[: len(whole.tokens)] == whole.tokens
            and self.whole.drawing == whole.drawing
            and self.whole.prompt == whole.prompt
        )

    def begin(self, whole: Whole) -> None:
        """Anew, with what the slot has in common with it. Of the last token the logits are needed:
        it goes through the model again."""
        with self.changing:
            same = min(common(self.tokens, whole.tokens), len(whole.tokens) - 1)
            self.cached = min(self.cached, same)
            self.whole, self.sampling = whole, whole.drawing.sampling()
            self.tokens, self.said, self.ended = list(whole.tokens), [], False

    def makes_room(self, now: float) -> float:
        """In how many seconds, where nobody uses it."""
        if self.ended:
            return 0.0
        return min(self.used + IDLE_SECONDS, self.since + TURN_SECONDS) - now


class Memory:
    """Of at most `count` sequences."""

    def __init__(self, count: int) -> None:
        self._free = list(reversed(range(count)))
        self._sequences: OrderedDict[str, Remembered] = OrderedDict()  # the last one used last
        self._queue: deque[asyncio.Event] = deque()

    @asynccontextmanager
    async def held(self, round: Round) -> AsyncIterator[Remembered]:
        """The sequence, which nobody takes meanwhile. Raises Forgotten."""
        sequence = self._sequences.get(round.id)
        if sequence is None:
            if round.whole is None:
                raise Forgotten(f"{round.id} is not known here")
            sequence = await self._remembered(round.id, round.whole)
        sequence.users += 1
        try:
            yield sequence
        finally:
            sequence.users -= 1
            sequence.used = time.monotonic()
            self._sequences.move_to_end(round.id)
            self._tell()

    def forget(self, id: str) -> None:
        """Unless somebody uses it."""
        sequence = self._sequences.get(id)
        if sequence is not None and not sequence.users:
            del self._sequences[id]
            self._free.append(sequence.slot)
            self._tell()

    async def _remembered(self, id: str, whole: Whole) -> Remembered:
        slot = await self._slot(id)
        if slot is None:
            return self._sequences[id]
        sequence = self._sequences[id] = Remembered.of(slot, whole)
        return sequence

    async def _slot(self, id: str) -> int | None:
        """None where another round of the sequence has one by then."""
        news = asyncio.Event()
        self._queue.append(news)
        try:
            while True:
                wait = None
                if self._queue[0] is news:
                    if id in self._sequences:
                        return None
                    slot, wait = self._room()
                    if slot is not None:
                        return slot
                news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await news.wait()
        finally:
            self._queue.remove(news)
            self._tell()

    def _room(self) -> tuple[int | None, float | None]:
        """A slot; or in how many seconds there may be one, where nobody has to leave for it."""
        if self._free:
            return self._free.pop(), None
        now = time.monotonic()
        idle = [(id, each) for id, each in self._sequences.items() if not each.users]
        if not idle:
            return None, None
        id, sequence = min(idle, key=lambda one: (not one[1].ended, one[1].used))
        least = min(each.makes_room(now) for _, each in idle)
        if least > 0:
            return None, least
        if sequence.makes_room(now) > 0:  # another had its turn
            id, sequence = next(one for one in idle if one[1].makes_room(now) <= 0)
        del self._sequences[id]
        return sequence.slot, None

    def _tell(self) -> None:
        if self._queue:
            self._queue[0].set()


def common(one: list[int], other: list[int]) -> int:
    """How many tokens they begin with alike."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place in range(shorter) if one[place] != other[place])
