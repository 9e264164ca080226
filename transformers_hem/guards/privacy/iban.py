"""International bank account numbers."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

import re2
from stdnum import iban

from transformers_hem.guards.privacy.base import Detector, Scanned, Span

_SHORTEST: Final = 15  # characters: Norway's
_BEGINS: Final = re2.compile(rb"[A-Za-z]{2}\d\d")
_CANDIDATE: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ .\-]?[A-Za-z0-9]){11,30}", re.ASCII
)
_WORD: Final = re.compile(r"[A-Za-z0-9]+", re.ASCII)


class Ibans(Detector):
    """As long as its country says, with the right check digits (ISO 13616)."""

    trigger: ClassVar[str] = r"[A-Za-z]{2}\d\d[ .\-]?[A-Za-z0-9]"

    def find(self, scanned: Scanned) -> Iterator[Span]:
        behind = 0
        for place in _BEGINS.finditer(scanned.characters):
            scanned.check_time()
            match = _CANDIDATE.match(scanned.text, place.start())
            if match is None or match.start() < behind:
                continue
            compact = ""
            for word in _WORD.finditer(match.group()):
                compact += word.group()
                if len(compact) >= _SHORTEST and _is_iban(compact.upper()):
                    behind = match.start() + word.end()
                    yield Span(match.start(), behind)
                    break


def _is_iban(compact: str) -> bool:
    """The remainder first: it is cheap, and one of 97 passes."""
    moved = compact[4:] + compact[:4]
    number = int("".join(str(int(character, 36)) for character in moved))
    return number % 97 == 1 and bool(iban.is_valid(compact))
