"""Who calls, for guards that count by client."""

import hashlib
from collections.abc import Mapping
from typing import Final

_DIGITS: Final = 16  # of a hash that nobody's key can be guessed from
_KEY: Final = "authorization"


def client_of(
    headers: Mapping[str, str], header: str = "", name: str = "", *, by_key: bool = True
) -> str:
    """A short hash that stays the same over restarts: of the value of `header`, or else of the
    caller's `name` among the tokens, or, `by_key`, of the key. Empty where there is none of them.
    """
    told = headers.get(header.lower(), "") if header else ""
    told = told or name
    if not told and by_key:
        told = headers.get(_KEY, "").partition(" ")[2].strip()
    return hashlib.blake2b(told.encode(), digest_size=_DIGITS // 2).hexdigest() if told else ""
