"""Remembers texts in little memory, and draws rows from a stream of unknown length."""

import random
from array import array
from typing import Final

_FIRST_SIZE: Final = 2**12


class Seen:
    """Which texts were there before, by their 64-bit hashes: 16 to 32 bytes a text, a fifth of a
    set's. Of 10 million texts two that differ are taken for one by a chance of 1 in 300,000."""

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * _FIRST_SIZE))
        self._count = 0

    def add(self, text: str) -> bool:
        """Whether it is new."""
        new = _put(self._table, (hash(text) & 0xFFFF_FFFF_FFFF_FFFF) or 1)
        if new:
            self._count += 1
            if 2 * self._count > len(self._table):
                self._grow()
        return new

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._table)))
        for key in self._table:
            if key:
                _put(larger, key)
        self._table = larger


def _put(table: "array[int]", key: int) -> bool:
    """Open addressing; 0 is an empty place."""
    last = len(table) - 1
    at = key & last
    while (there := table[at]) != key:
        if there == 0:
            table[at] = key
            return True
        at = (at + 1) & last
    return False


class Reservoir:
    """`limit` of the lines that are added, each as likely as any other, in their order: Vitter's
    algorithm R (ACM TOMS 11, 1985). The same seed and lines give the same draw."""

    def __init__(self, limit: int, seed: int) -> None:
        self._limit = limit
        self._random = random.Random(seed)
        self._drawn: list[tuple[int, bytes]] = []
        self._added = 0

    def add(self, line: bytes) -> None:
        item = (self._added, line)
        self._added += 1
        if len(self._drawn) < self._limit:
            self._drawn.append(item)
        elif (at := self._random.randrange(self._added)) < self._limit:
            self._drawn[at] = item

    def lines(self) -> list[bytes]:
        return [line for _, line in sorted(self._drawn)]
