"""Addresses of machines in networks."""

import ipaddress
import re
from collections.abc import Iterator
from typing import ClassVar, Final

from transformers_hem.guards.privacy.base import Detector, Scanned, Span

_IP: Final = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:]|\.\d)"
)
_MAC: Final = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})(?![\w:-])"
)


class IPAddresses(Detector):
    """Version 4 or 6, of the whole internet: not those of local networks, of this machine or of
    documentation."""

    trigger: ClassVar[str] = r"\d\.\d{1,3}\.\d|:[0-9A-Fa-f]{0,4}:"

    def find(self, scanned: Scanned) -> Iterator[Span]:
        for match in _IP.finditer(scanned.text):
            try:
                address = ipaddress.ip_address(match.group())
            except ValueError:
                continue
            if address.is_global:
                yield Span(match.start(), match.end())


class MACAddresses(Detector):
    """Six bytes with colons or dashes between them."""

    trigger: ClassVar[str] = r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]"

    def find(self, scanned: Scanned) -> Iterator[Span]:
        for match in _MAC.finditer(scanned.text):
            yield Span(match.start(), match.end())
