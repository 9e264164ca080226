"""Phone numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import phonenumbers
from phonenumbers import PhoneMetadata

from predictors.errors import ConfigurationError
from transformers_hem.guards.privacy.base import Detector, PrivacyParameters, Scanned, Span, listed

_LEAST: Final = 7
_MOST: Final = 15  # digits, by E.164
_MOST_NATIONAL: Final = 13
_LEAST_ABROAD: Final = 10  # with 00 before them
_LEAST_BRACKETED: Final = 8  # where the first are in brackets
_LEAST_UNSAID: Final = 9  # where nothing before them says what they are
_MOST_GROUPS: Final = 6
_WORD_BEFORE: Final = 24  # characters before a number, where a word may say what it is
_SAYS_PHONE: Final = re.compile(
    r"phone|mobile|\bcell|\bcall\b|\btel\b|\btel[.:e\xe9]|fax|whatsapp|\bsms\b|\btext (?:me|us)"
    r"|handy|anruf|rufnummer|m[o\xf3]vil|celular|ll[a\xe1]ma|cellulare|portable|appel|num[e\xe9]ro"
    r"|ligue|liga|\u7535\u8bdd|\u624b\u673a|\u96fb\u8a71|\u643a\u5e2f|\uc804\ud654"
    r"|\u0442\u0435\u043b|\u0437\u0432\u043e\u043d|zadzwo|bel ",
    re.IGNORECASE,
)
# Not of a phone: decimals, dates with times, years.
_DAY: Final = r"(?:(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d)"
_YEAR: Final = r"(?:1[0-9]|20)\d\d"
_OTHER: Final = re.compile(rf"\d+\.\d+|{_DAY}(?:[ T]\d.*)?|{_YEAR} ?- ?{_YEAR}")
_PLUS: Final = re.compile(r"\(?\+ ?\(?\Z")
_EXTENSION: Final = re.compile(r" ?(?:x|ext\.?) ?\d{1,6}(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Region:
    """`national`: what all its numbers look like, without the prefix of calls inside."""

    code: str
    national: re.Pattern[str]
    prefix: str

    def has(self, digits: str, *, said: bool) -> bool:
        """Whether they may be a number; where nothing says so, whether they are one of those that
        are given out."""
        national = digits.removeprefix(self.prefix)
        if not self.national.fullmatch(national):
            return False
        return said or phonenumbers.is_valid_number_for_region(self._number(national), self.code)

    def _number(self, national: str) -> phonenumbers.PhoneNumber:
        return phonenumbers.PhoneNumber(
            country_code=phonenumbers.country_code_for_region(self.code),
            national_number=int(national),
            italian_leading_zero=national.startswith("0") or None,
        )


class Phones(Detector):
    """With a country's code, as every country has them; without, as the regions have them: written
    in groups, or behind a word that says so, or a mobile's."""

    trigger: ClassVar[str] = r"\d(?:[ \t\n.\-/()]{0,3}\d){6}"

    def __init__(self, parameters: PrivacyParameters) -> None:
        regions = listed(parameters.regions.upper())
        unknown = [code for code in regions if code not in phonenumbers.SUPPORTED_REGIONS]
        if unknown:
            raise ConfigurationError(
                f"regions: {unknown[0]!r} is no region with phones; as ISO 3166: US, GB, CN, ..."
            )
        self._regions = [_region(code) for code in regions]

    def find(self, scanned: Scanned) -> Iterator[Span]:
        for run in scanned.runs:
            scanned.check_time()
            behind = 0
            parts = sorted(run.parts(_LEAST, _MOST + 2), key=lambda part: (part[0], -part[1]))
            for start, end, digits in parts:
                if start < behind:
                    continue
                first = _first(scanned.text, start, end)
                if self._is_phone(scanned.text, first, start, end, digits):
                    extension = _EXTENSION.match(scanned.text, end)
                    behind = extension.end() if extension else end
                    yield Span(first, behind)

    def _is_phone(self, text: str, first: int, start: int, end: int, digits: str) -> bool:
        if not _apart(text, first, end):
            return False
        if "+" in text[first:start]:
            return _is_international(digits)
        if digits.startswith("00") and len(digits) >= _LEAST_ABROAD:
            return _is_international(digits.removeprefix("00"))
        written = text[first:end]
        if len(digits) > _MOST_NATIONAL or _OTHER.fullmatch(text[start:end]):
            return False
        said = _SAYS_PHONE.search(text, max(0, first - _WORD_BEFORE), first) is not None
        said = said or (written.startswith("(") and len(digits) >= _LEAST_BRACKETED)
        if not said and (len(digits) < _LEAST_UNSAID or not _is_in_groups(written)):
            return False
        return any(region.has(digits, said=said) for region in self._regions)


def _region(code: str) -> _Region:
    metadata: Any = PhoneMetadata.metadata_for_region(code)
    pattern = metadata.general_desc.national_number_pattern
    return _Region(code, re.compile(pattern), metadata.national_prefix or "")


def _first(text: str, start: int, end: int) -> int:
    """Where a number begins whose digits do at `start`: at a plus, or at a bracket that is closed
    within it."""
    plus = _PLUS.search(text, max(0, start - 4), start)
    if plus:
        return plus.start()
    return start - 1 if text[start - 1 : start] == "(" and ")" in text[start:end] else start


def _apart(text: str, first: int, end: int) -> bool:
    """Letters of scripts without blanks between words may stand right beside a number; an `x` with
    an extension behind it, too."""
    before, after = text[first - 1 : first], text[end : end + 1]
    beside_before = bool(before) and before.isalnum() and before.isascii()
    beside_after = bool(after) and after.isalnum() and after.isascii() and after not in "xX"
    return not (beside_before or beside_after)


def _is_international(digits: str) -> bool:
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


def _is_in_groups(written: str) -> bool:
    """As those of phones: at most six, and a single digit stands in front alone."""
    groups = re.findall(r"\d+", written)
    return len(groups) <= _MOST_GROUPS and all(len(group) > 1 for group in groups[1:])
