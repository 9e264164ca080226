"""The Content-Type that Go's server gives an answer whose handler set none."""

from functools import partial
from typing import Final

_LOOKED_AT: Final = 512  # bytes
_PLAIN: Final = "text/plain; charset=utf-8"
_TAGS: Final = tuple(
    f"<{tag}".encode()
    for tag in (
        *("!DOCTYPE HTML", "HTML", "HEAD", "SCRIPT", "IFRAME", "H1", "DIV", "FONT", "TABLE"),
        *("A", "STYLE", "TITLE", "B", "BODY", "BR", "P"),
    )
)
_PREFIXES: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", _PLAIN),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
)
_BINARY: Final = bytes({*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})


def guessed_type(body: bytes) -> str:
    """By the commoner rows of the WHATWG's MIME Sniffing Standard, section 7.1."""
    start = body[:_LOOKED_AT]
    text = start.lstrip(b"\t\n\x0c\r ").upper()
    if text.startswith(b"<!--") or any(map(partial(_opens_with, text), _TAGS)):
        return "text/html; charset=utf-8"
    if text.startswith(b"<?XML"):
        return "text/xml; charset=utf-8"
    for prefix, name in _PREFIXES:
        if start.startswith(prefix):
            return name
    return "application/octet-stream" if start != start.translate(None, _BINARY) else _PLAIN


def _opens_with(text: bytes, tag: bytes) -> bool:
    return text.startswith(tag) and text[len(tag) : len(tag) + 1] in (b" ", b">")
