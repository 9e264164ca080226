"""Text of others that stays in its line."""

import re
from typing import Final

# Control characters (C0, DEL, C1), Unicode's line ends and marks of direction, halves of pairs.
_ESCAPED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def one_line(text: str) -> str:
    """`text` with what could end its line, or move a terminal's cursor, written as an escape."""
    if text.isprintable():  # none of them is, and most texts are
        return text
    return _ESCAPED.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
