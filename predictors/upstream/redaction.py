"""Keys are struck out of a far side's own words before anybody reads those."""

import json
import re
from collections.abc import Iterable
from typing import Final

# What stands before a key in an `authorization` (RFC 9110, 11.1), and in many texts.
SCHEMES: Final = frozenset({"apikey", "basic", "bearer", "digest", "key", "negotiate", "token"})
# Characters: so short a key is struck out only where it stands alone, or it would be everywhere.
SHORT: Final = 3
STRUCK: Final = "***"
MAX_REASON: Final = 300  # characters of a far side's own words in an error of ours


class Redaction:
    """Strikes out `values`, those of the headers that go with a call, and the words of each: of
    `Bearer KEY` the key alone, too."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        secrets = {word for value in values for word in (value, *value.split())}
        kept = {word for word in secrets if word and word.lower() not in SCHEMES}
        kept |= {json.dumps(word)[1:-1] for word in kept}
        # The longest first: one may hold another.
        patterns = map(_anywhere_or_alone, sorted(kept, key=len, reverse=True))
        self._pattern = re.compile("|".join(patterns) or r"(?!)")

    def __call__(self, text: str) -> str:
        return self._pattern.sub(STRUCK, text)

    def reason(self, text: str) -> str:
        """On one line of at most MAX_REASON characters; cut last, or half a key would stay."""
        return " ".join(self(text).split())[:MAX_REASON]


def _anywhere_or_alone(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) > SHORT else rf"(?<!\w){escaped}(?!\w)"


NOTHING_SECRET: Final = Redaction()
