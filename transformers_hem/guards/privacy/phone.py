"""Phone numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import phonenumbers
import re2
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
_SAYS_PHONE: Final = re2.compile(
    r"(?i)phone|mobile|\bcell|\bcall\b|\btel\b|\btel[.:e\xe9]|fax|whatsapp|\bsms\b|\btext (?:me|us)"
    r"|handy|anruf|rufnummer|m[o\xf3]vil|celular|ll[a\xe1]ma|cellulare|portable|appel|num[e\xe9]ro"
    r"|ligue|liga|\x{7535}\x{8bdd}|\x{624b}\x{673a}|\x{96fb}\x{8a71}|\x{643a}\x{5e2f}|\x{c804}\x{d654}"
    r"|\x{0442}\x{0435}\x{043b}|\x{0437}\x{0432}\x{043e}\x{043d}|zadzwo|bel "
)
# Not of a phone: decimals, dates with times, years.
_DAY: Final = r"(?:(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d)"
_YEAR: Final = r"(?:1[0-9]|20)\d\d"
_OTHER: Final = re.compile(rf"\d+\.\d+|{_DAY}(?:[ T]\d.*)?|{_YEAR} ?- ?{_YEAR}")
_PLUS: Final = re.compile(r"\(?\+ ?\(?\Z")
_EXTENSION: Final = re.compile(r" ?(?:x|ext\.?) ?\d{1,6}(?!\w)", re.IGNORECASE)


# Of a country's numbers, as the metadata of phonenumbers has them.
_KINDS: Final = (
    *("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan"),
    *("voicemail", "fixed_line", "mobile"),
)


@dataclass(frozen=True, slots=True)
class _Regions:
    """Those with the same `prefix` of calls inside. `national`: what their numbers look like,
    without it; `given_out`: those of a kind that there is, such as mobiles."""

    prefix: str
    national: re.Pattern[str]
    given_out: re.Pattern[str]

    @classmethod
    def of(cls, prefix: str, metadata: list[Any]) -> "_Regions":
        """As phonenumbers' `is_valid_number_for_region` judges, of whose patterns one is made: it
        takes a twentieth of the time."""
        patterns = [each.general_desc.national_number_pattern for each in metadata]
        kinds = [_pattern(getattr(each, name)) for each in metadata for name in _KINDS]
        return cls(
            prefix,
            re.compile("|".join(patterns)),
            re.compile("|".join(kind for kind in kinds if kind)),
        )

    def may_have(self, digits: str) -> bool:
        return self.national.fullmatch(digits.removeprefix(self.prefix)) is not None

    def give_out(self, digits: str) -> bool:
        return self.given_out.fullmatch(digits.removeprefix(self.prefix)) is not None


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
        by_prefix: dict[str, list[Any]] = {}
        for code in regions:
            metadata: Any = PhoneMetadata.metadata_for_region(code)
            by_prefix.setdefault(metadata.national_prefix or "", []).append(metadata)
        self._regions = [_Regions.of(*each) for each in by_prefix.items()]

    def find(self, scanned: Scanned) -> Iterator[Span]:
        for run in scanned.runs:
            scanned.check_time()
            if scanned.is_known(run.start, run.end):
                continue
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
        if len(digits) > _MOST_NATIONAL or _OTHER.fullmatch(text[start:end]):
            return False
        if not any(regions.may_have(digits) for regions in self._regions):
            return False
        written = text[first:end]
        if written.startswith("(") and len(digits) >= _LEAST_BRACKETED:
            return True
        if len(digits) >= _LEAST_UNSAID and _is_in_groups(written) and self._are_given_out(digits):
            return True
        return _SAYS_PHONE.search(text[max(0, first - _WORD_BEFORE) : first]) is not None

    def _are_given_out(self, digits: str) -> bool:
        return any(regions.give_out(digits) for regions in self._regions)


def _pattern(kind: Any) -> str:
    if kind is None or not kind.national_number_pattern:
        return ""
    lengths = "|".join(rf"\d{{{n}}}" for n in kind.possible_length if n > 0)
    ahead = rf"(?=(?:{lengths})\Z)" if lengths else ""
    return f"{ahead}(?:{kind.national_number_pattern})"


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
