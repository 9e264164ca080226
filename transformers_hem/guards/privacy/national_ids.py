"""Numbers that states give to persons."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import re2

from predictors.errors import ConfigurationError, known
from transformers_hem.guards.privacy.base import Detector, PrivacyParameters, Scanned, Span, listed

_DIGITS_11: Final = r"\d{11}"
_CHINESE: Final = r"[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]"
_DIGITS_13: Final = r"\d{13}"
# Country, python-stdnum's module, how the number is written. Those without check digits are
# known by the way alone that they are written.
_IDS: Final = (
    ("AR", "ar.cuit", r"\d{2}-\d{8}-\d"),
    ("BE", "be.nn", r"\d{2}\.?\d{2}\.?\d{2}-?\d{3}\.?\d{2}"),
    ("BG", "bg.egn", r"\d{10}"),
    ("BR", "br.cpf", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}"),
    ("CA", "ca.sin", r"\d{3}[ -]\d{3}[ -]\d{3}"),
    ("CH", "ch.ssn", r"756\.?\d{4}\.?\d{4}\.?\d{2}"),
    ("CL", "cl.rut", r"\d{1,2}\.?\d{3}\.?\d{3}-[\dkK]"),
    # Not cn.ric, whose list of places is shorter than the one that they were given out by.
    ("CN", "iso7064.mod_11_2", _CHINESE),
    ("CZ", "cz.rc", r"\d{6}/?\d{3,4}"),
    ("DE", "de.idnr", r"\d{2} ?\d{3} ?\d{3} ?\d{3}"),
    ("DK", "dk.cpr", r"\d{6}-\d{4}"),
    ("EE", "ee.ik", _DIGITS_11),
    ("ES", "es.dni", r"\d{8}[ -]?[A-Za-z]"),
    ("ES", "es.nie", r"[XYZxyz][ -]?\d{7}[ -]?[A-Za-z]"),
    ("FI", "fi.hetu", r"\d{6}[-+A-FU-Y]\d{3}[0-9A-Ya-y]"),
    ("FR", "fr.nir", r"[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}"),
    ("GB", "gb.nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}"),
    ("GB", "", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]"),
    ("GR", "gr.amka", _DIGITS_11),
    ("HR", "hr.oib", _DIGITS_11),
    ("IE", "ie.pps", r"\d{7}[A-Wa-w][A-IWa-iw]?"),
    ("IN", "in_.aadhaar", r"\d{4}[ -]?\d{4}[ -]?\d{4}"),
    ("IN", "in_.pan", r"[A-Z]{5}\d{4}[A-Z]"),
    ("IT", "it.codicefiscale", r"[A-Za-z]{6}\d\d[A-Za-z]\d\d[A-Za-z]\d{3}[A-Za-z]"),
    ("JP", "jp.in_", r"\d{4}[ -]?\d{4}[ -]?\d{4}"),
    ("KR", "kr.rrn", r"\d{6}-?\d{7}"),
    ("LT", "lt.asmens", _DIGITS_11),
    ("LV", "lv.pvn", r"\d{6}-\d{5}"),
    ("MX", "mx.curp", r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d"),
    ("MY", "my.nric", r"\d{6}-\d{2}-\d{4}"),
    ("NL", "nl.bsn", r"\d{4}\.?\d{2}\.?\d{3}"),
    ("NO", "no.fodselsnummer", r"\d{6} ?\d{5}"),
    ("PL", "pl.pesel", _DIGITS_11),
    ("PT", "pt.cc", r"\d{8} ?\d ?[A-Z0-9]{2} ?\d"),
    ("RO", "ro.cnp", _DIGITS_13),
    ("SE", "se.personnummer", r"(?:\d{2})?\d{6}[-+]?\d{4}"),
    ("TH", "th.pin", r"\d ?-?\d{4} ?-?\d{5} ?-?\d{2} ?-?\d"),
    ("TR", "tr.tckimlik", _DIGITS_11),
    ("UA", "ua.rntrc", r"\d{10}"),
    ("US", "us.ssn", r"\d{3}[- ]\d{2}[- ]\d{4}"),
    ("ZA", "za.idnr", r"\d{6} ?\d{4} ?\d{2} ?\d"),
)
COUNTRIES: Final = sorted({country for country, _, _ in _IDS})


@dataclass(frozen=True, slots=True)
class _Shape:
    """How ids of some countries are written. `judges` have python-stdnum's `is_valid`; None: there
    are no check digits."""

    written: re.Pattern[str]
    judges: tuple[Any, ...]

    def fits(self, written: str) -> bool:
        return any(judge is None or judge.is_valid(written) for judge in self.judges)


# All of them begin with six digits, or with letters and digits as these.
_BEGINS: Final = re2.compile(
    rb"\d(?:[ .\-+/]{0,2}\d){5}|[XYZxyz][ -]?\d{7}|[A-Z]{2} ?\d{2} ?\d{2} ?\d{2}|[A-Z]{5}\d{4}"
    rb"|[A-Z]{4}\d{6}|[A-Za-z]{6}\d{2}[A-Za-z]\d{2}"
)
_LONGEST: Final = 24  # characters
_BEHIND: Final = r"(?![A-Za-z0-9])"


class NationalIds(Detector):
    """By python-stdnum, of a chosen list of countries."""

    trigger: ClassVar[str] = r"\d{2}[A-Za-z]?[ .\-]?\d{2}"

    def __init__(self, parameters: PrivacyParameters) -> None:
        countries = listed(parameters.countries.upper())
        for country in countries:
            if country not in COUNTRIES:
                raise ConfigurationError(
                    f"countries: no ids of {country!r}; {known(country, COUNTRIES)}"
                )
        judges: dict[str, list[Any]] = {}
        for country, module, shape in _IDS:
            if country in countries:
                judges.setdefault(shape, []).append(_judge(module))
        self._shapes = [
            _Shape(re.compile(shape + _BEHIND, re.ASCII), tuple(of)) for shape, of in judges.items()
        ]
        # Looks ahead, so that what only looks like one hides none behind it.
        any_shape = rf"(?:{'|'.join(judges)}){_BEHIND}"
        self._candidate = re.compile(rf"(?<![A-Za-z0-9])(?={any_shape})", re.ASCII)

    def find(self, scanned: Scanned) -> Iterator[Span]:
        text, behind = scanned.text, 0
        for place in _BEGINS.finditer(scanned.characters):
            scanned.check_time()
            first, last = place.span()
            if scanned.is_known(first - 1, last):  # at its beginning may be one as long
                continue
            for candidate in self._candidate.finditer(text, first, last + _LONGEST):
                start = candidate.start()
                if start >= last:
                    break
                end = self._end(text, start) if start >= behind else None
                if end is not None:
                    behind = end
                    yield Span(start, end)

    def _end(self, text: str, start: int) -> int | None:
        """Of the longest that begins at `start`."""
        found = ((shape.written.match(text, start), shape) for shape in self._shapes)
        matches = [(match.end(), shape) for match, shape in found if match]
        matches.sort(key=lambda each: -each[0])
        return next((e for e, shape in matches if shape.fits(text[start:e].upper())), None)


def _judge(module: str) -> Any:
    return importlib.import_module(f"stdnum.{module}") if module else None
