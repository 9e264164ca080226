"""Whether a body is JSON, by the rules of Go's parsers, without building objects from it."""

import re
from typing import Final

import numpy as np
import pygjson

# Go's encoding/json gives up at this depth too; pygjson recurses and would overflow the stack.
MAX_DEPTH: Final = 10_000

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def is_json(body: bytes) -> bool:
    """Bytes inside strings needn't be UTF-8, as in Go. Nested deeper than MAX_DEPTH: no JSON."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return False
    return bool(pygjson.validate(body))


def _depth(body: bytes) -> int:
    """The deepest nesting of brackets outside strings (an upper bound where they don't match)."""
    symbols = np.frombuffer(_STRING.sub(b"", body), dtype=np.uint8)
    opened = (symbols == ord("[")) | (symbols == ord("{"))
    closed = (symbols == ord("]")) | (symbols == ord("}"))
    return int(np.cumsum(opened.astype(np.int32) - closed, dtype=np.int32).max(initial=0))
