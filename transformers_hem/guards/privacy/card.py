"""Numbers of payment cards."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from stdnum import luhn

from transformers_hem.guards.privacy.base import Detector, Scanned, Span

# What the issuers' numbers begin with, and how many digits they have (ISO/IEC 7812).
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}"
    r"|(?:2131|1800)\d{11}|0604\d{8,15}|3(?:0[0-59]|[689]\d)\d{11,16}|35\d{14,17}|6\d{15,18}|(?:5[0678])\d{10,17}|6[37]\d{10,17}"
)
_SEPARATOR: Final = re.compile(r"[ .\-\n]{1,3}")
_LEAST_GROUP: Final = 3


class Cards(Detector):
    """13 to 19 digits of an issuer, in groups or not, whose last one is right (Luhn)."""

    trigger: ClassVar[str] = r"\d(?:[ .\-\n]{0,3}\d){11}"

    def find(self, scanned: Scanned) -> Iterator[Span]:
        for run in scanned.runs:
            scanned.check_time()
            behind = 0
            for start, end, digits in run.parts(12, 19):
                if start < behind or not _ISSUERS.fullmatch(digits):
                    continue
                groups = re.split(r"(\D+)", scanned.text[start:end])
                if (
                    min(map(len, groups[::2])) >= _LEAST_GROUP
                    and all(map(_SEPARATOR.fullmatch, groups[1::2]))
                    and luhn.is_valid(digits)
                ):
                    behind = end
                    yield Span(start, end)
