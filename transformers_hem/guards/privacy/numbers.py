"""Runs of digits with separators between them, which several detectors judge."""

import re
from dataclasses import dataclass
from typing import Final

import re2

_RUN: Final = re2.compile(rb"\d(?:[ \t\r\n.\-/()]{0,3}\d){6,}")
_MOST_GROUPS: Final = 7
_GROUP: Final = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Run:
    """`groups` are the places of its digits: (start, end) in the text."""

    start: int
    groups: tuple[tuple[int, int], ...]
    digits: str

    @property
    def end(self) -> int:
        return self.groups[-1][1]

    def parts(self, least: int, most: int) -> list[tuple[int, int, str]]:
        """Every (start, end, digits) of whole groups, at most seven, with so many digits."""
        found = []
        ends, offsets = [], [0]
        for start, end in self.groups:
            ends.append(end)
            offsets.append(offsets[-1] + end - start)
        for first, (start, _) in enumerate(self.groups):
            for last in range(first, min(first + _MOST_GROUPS, len(self.groups))):
                count = offsets[last + 1] - offsets[first]
                if count > most:
                    break
                if count >= least:
                    digits = self.digits[offsets[first] : offsets[last + 1]]
                    found.append((start, ends[last], digits))
        return found


def read_runs(text: str, characters: bytes) -> list[Run]:
    """Those of at least seven digits, of a text whose `characters` are a byte each."""
    runs = []
    for match in _RUN.finditer(characters):
        first, last = match.span()
        groups = tuple(group.span() for group in _GROUP.finditer(text, first, last))
        digits = "".join(text[start:end] for start, end in groups)
        runs.append(Run(first, groups, digits))
    return runs
