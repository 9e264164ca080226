"""E-mail addresses."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from transformers_hem.guards.privacy.base import Detector, Scanned, Span

_LOCAL_MOST: Final = 64  # characters, by RFC 5321
_DOMAIN_MOST: Final = 255
_LOCAL: Final = re.compile(r"(?:\"[^\"\s]+\"|[\w!#$%&'*+/=?^`{|}~.-]+)\Z")
_DOMAIN: Final = re.compile(
    r"(?:[^\W_](?:[\w-]{0,62})\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})", re.IGNORECASE
)
_NOT_FIRST: Final = "!#$%&'*/=?^`{|}~.-"  # of what stands before an address in a text


class Emails(Detector):
    """`@` between a local part and a domain with a dot, of any script."""

    trigger: ClassVar[str] = r"@"

    def find(self, scanned: Scanned) -> Iterator[Span]:
        text, place, behind = scanned.text, -1, 0
        while (place := text.find("@", place + 1)) >= 0:
            low = max(behind, place - _LOCAL_MOST)
            local = _LOCAL.search(text[low:place])
            domain = _DOMAIN.match(text, place + 1, place + 1 + _DOMAIN_MOST)
            if local is None or domain is None:
                continue
            start = low + local.start()
            start += len(local.group()) - len(local.group().lstrip(_NOT_FIRST))
            if start < place:
                behind = domain.end()
                yield Span(start, domain.end())
