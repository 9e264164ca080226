"""All detectors of one configuration: one linear pass finds out what may be there, and only those
that may find something are asked."""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import re2

from transformers_hem.guards.privacy import DETECTORS
from transformers_hem.guards.privacy.base import (
    OF_DIGITS,
    Found,
    PrivacyParameters,
    Scanned,
    listed,
)
from transformers_hem.guards.privacy.normalising import normalise
from transformers_hem.guards.privacy.own import (
    find_patterns,
    find_words,
    read_patterns,
    read_words,
)

_ENCODED: Final = re2.compile(rb"[A-Za-z0-9+/_-]{20,}={0,2}")
_LONGEST_ENCODED: Final = 8192
_ENCODED_TRIGGER: Final = r"[A-Za-z0-9+/_-]{20}"
_URL_SAFE: Final = str.maketrans("-_", "+/")
_MEMORY: Final = 32 * 2**20  # bytes, of the first pass


class Detectors:
    """`find` says what is where. Raises ConfigurationError for parameters that can't be."""

    def __init__(self, parameters: PrivacyParameters) -> None:
        self._detectors = {
            name: DETECTORS.load(name)(parameters)
            for name in sorted(dict.fromkeys(listed(parameters.kinds)), key=OF_DIGITS.__contains__)
        }
        self._patterns = read_patterns(Path(parameters.patterns)) if parameters.patterns else {}
        self._words = read_words(Path(parameters.words)) if parameters.words else None
        options = re2.Options()
        options.max_mem = _MEMORY
        self._gate = re2.Set.SearchSet(options)
        triggers = [detector.trigger for detector in self._detectors.values()]
        # The empty pattern always matches: without it the pass has run out of its memory.
        for trigger in (*triggers, _ENCODED_TRIGGER, ""):
            self._gate.Add(trigger)
        self._gate.Compile()
        self.find("12 a@b.c")  # what is compiled when it is first used

    @property
    def versions(self) -> dict[str, int]:
        return {name: detector.version for name, detector in self._detectors.items()}

    def find(self, text: str, by: float | None = None) -> list[Found]:
        """In the order of the text; what is of several kinds is there for each of them. Raises
        TookTooLong where it is not through `by` a time of `time.perf_counter`."""
        normalised = normalise(text)
        found = self._in(Scanned(normalised.text, by), unpack=True)
        places = ((normalised.original(each.start, each.end), each.kind) for each in found)
        return _outermost(sorted({Found(*place, kind) for place, kind in places}))

    def _in(self, scanned: Scanned, *, unpack: bool) -> Iterator[Found]:
        count = len(self._detectors)
        triggered = frozenset(self._gate.Match(scanned.text) or ())
        everything = count + 1 not in triggered
        for number, (kind, detector) in enumerate(self._detectors.items()):
            if everything or number in triggered:
                for start, end in detector.find(scanned):
                    scanned.check_time()
                    if kind not in OF_DIGITS:
                        scanned.know(start, end)
                    yield Found(start, end, kind)
        for each in find_patterns(self._patterns, scanned.text):
            scanned.check_time()
            yield each
        if self._words is not None:
            for each in find_words(self._words, scanned.text):
                scanned.check_time()
                yield each
        if unpack and (everything or count in triggered):
            yield from self._unpacked(scanned)

    def _unpacked(self, scanned: Scanned) -> Iterator[Found]:
        """What is private in base64, which is private as a whole."""
        for match in _ENCODED.finditer(scanned.characters):
            scanned.check_time()
            start, end = match.span()
            inside = _decoded(scanned.text[start : min(end, start + _LONGEST_ENCODED)])
            if inside is not None:
                within = Scanned(normalise(inside).text, scanned.by)
                for kind in {each.kind for each in self._in(within, unpack=False)}:
                    yield Found(start, end, kind)


def _outermost(found: list[Found]) -> list[Found]:
    """Without the phones and ids that are digits of something longer."""
    kept: list[Found] = []
    behind = length = 0
    for each in sorted(found, key=lambda each: (each.start, each.kind in OF_DIGITS)):
        characters = each.end - each.start
        if each.kind not in OF_DIGITS and each.end > behind:
            behind, length = each.end, characters
        elif each.kind in OF_DIGITS and each.start < behind and characters < length:
            continue
        kept.append(each)
    return sorted(kept)


def _decoded(word: str) -> str | None:
    """The printable text that base64 stands for; None where it stands for none."""
    padded = word.rstrip("=").translate(_URL_SAFE)
    if len(padded) % 4 == 1:
        return None
    try:
        text = base64.b64decode(padded + "=" * (-len(padded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if text.replace("\n", "").replace("\t", "").isprintable() else None
