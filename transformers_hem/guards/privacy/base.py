"""What a detector is, and what it finds."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, Literal, NamedTuple

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.guards.privacy.numbers import Run, read_runs

# Kinds that digits of something longer may be taken for.
OF_DIGITS: Final = frozenset({"phone", "national_id"})


class Span(NamedTuple):
    """Characters `start` to before `end` of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """Characters `start` to before `end` of a text are of this kind."""

    start: int
    end: int
    kind: str


class TookTooLong(Exception):
    """A text was not looked through in time."""


class Scanned:
    """A normalised text, and what several detectors read of it. It is looked through `by` a time of
    `time.perf_counter`, or without a limit."""

    def __init__(self, text: str, by: float | None = None) -> None:
        self.text = text
        self.by = by
        self._longer: list[tuple[int, int]] = []

    def check_time(self) -> None:
        """For each candidate. Raises TookTooLong."""
        if self.by is not None and time.perf_counter() > self.by:
            raise TookTooLong

    def know(self, start: int, end: int) -> None:
        """Something was found there, of which no phone or id is a part."""
        self._longer.append((start, end))

    def is_known(self, start: int, end: int) -> bool:
        return any(first <= start and end <= last for first, last in self._longer)

    @cached_property
    def characters(self) -> bytes:
        """A byte for each character, which RE2 reads fastest; `?` for those beyond ASCII."""
        return self.text.encode("ascii", "replace")

    @cached_property
    def runs(self) -> list[Run]:
        return read_runs(self.text, self.characters)


class PrivacyParameters(AlgorithmParameters):
    """Lists are words with commas between them.

    `action`: a request with something private stays at the edge (`keep`), or leaves with
    placeholders where its sender can put back what they stand for (`redact`).
    `kinds`: names of DETECTORS. `regions`: whose phones are known without a country's code, as
    ISO 3166. `countries`: whose ids are known, as ISO 3166. `patterns`: a file of `name pattern`
    lines, `words`: a file of a word or words a line. `spacy_model`: of persons and locations, a
    folder or the name of an installed one, for texts in `spacy_language`. `seconds`: after so many
    for one text, and `longest`: of a text with more characters, it stays at the edge unread.
    """

    files: ClassVar[frozenset[str]] = frozenset({"patterns", "words"})

    action: Literal["keep", "redact"] = "keep"
    kinds: str = "card,email,iban,national_id,phone,secret"
    regions: str = "US,GB,DE,FR,ES,IT,BR,CN,JP,IN,NL,PL,MX,KR"
    countries: str = (
        "AR,BE,BG,BR,CA,CH,CL,CN,CZ,DE,DK,EE,ES,FI,FR,GB,GR,HR,IE,IN,IT,JP,KR,LT,LV,MX,MY,NL,NO,PL,"
        "PT,RO,SE,TH,TR,UA,US,ZA"
    )
    patterns: str = ""
    words: str = ""
    spacy_model: str = ""
    spacy_language: str = "en"
    seconds: float = 0.25
    longest: int = 2_000_000


def listed(text: str) -> list[str]:
    """The words of a list with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


class Detector(ABC):
    """Finds one kind. Its time grows with the length of a text, and not faster.

    `trigger` is a pattern of RE2: in a text where it matches nothing there is none of this kind.
    `version` counts up whenever the same text may be judged otherwise.
    """

    trigger: ClassVar[str]
    version: ClassVar[int] = 1

    def __init__(self, parameters: PrivacyParameters) -> None:  # noqa: B027 - some need nothing
        """Raises ConfigurationError."""

    @abstractmethod
    def find(self, scanned: Scanned) -> Iterator[Span]:
        """In the order of the text."""
