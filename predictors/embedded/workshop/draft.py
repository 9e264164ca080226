"""What a family hands to the generator: one question before a wording and a side are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Draft:
    """`key` names the operation and its operands, the same for every wording of the question."""

    key: str
    wordings: tuple[str, ...]
    answer: str


Level = Callable[[Random], Draft]
