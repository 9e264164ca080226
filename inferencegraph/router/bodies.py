"""Bodies by the rules of Go: whether one is JSON, its Content-Type, and values read and written.

KServe's router reads the bodies that it merges (Ensemble) or remaps (mapPredictionsToInstances)
into `interface{}` and writes them again: keys come out sorted, every number is a float64, and <, >
and & are escaped. The standard json module is used for that, as orjson can't follow these rules.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pygjson

# Go's encoding/json gives up at this depth too; pygjson recurses and would overflow the stack.
MAX_DEPTH: Final = 10_000

# A string that doesn't end takes all that follows, and nothing is tried twice: else a body of many
# quotes takes time by the square of its length.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # to Go it is U+FFFD
_ESCAPED: Final = re.compile("[<>&\u2028\u2029]")
# Go looks at the first 512 bytes, and at these for what is not text (WHATWG MIME Sniffing, 7.1).
_LOOKED_AT: Final = 512
_BINARY: Final = bytes({*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)})


def is_json(body: bytes) -> bool:
    """Bytes inside strings needn't be UTF-8, as in Go. Nested deeper than MAX_DEPTH is not JSON."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return False
    return bool(pygjson.validate(body))


def content_type(body: bytes) -> str:
    """The type that KServe's router gives an answer: JSON, else text or bytes as Go guesses.

    Go also tells HTML, XML and some images and archives by their first bytes; here they are text
    or bytes.
    """
    if is_json(body):
        return "application/json"
    start = body[:_LOOKED_AT]
    is_text = start == start.translate(None, _BINARY)
    return "text/plain; charset=utf-8" if is_text else "application/octet-stream"


def loads(body: bytes) -> Any:
    """Raises ValueError for what Go can't read: not JSON, a number beyond float64, too deep."""
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_constant)
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def dumps(value: Any) -> bytes:
    """`value`, which `loads` gave, as Go writes it."""
    return _text(value).encode()


def _depth(body: bytes) -> int:
    """The deepest nesting of brackets outside strings (an upper bound where they don't match)."""
    symbols = np.frombuffer(_STRING.sub(b"", body), dtype=np.uint8)
    opened = (symbols == ord("[")) | (symbols == ord("{"))
    closed = (symbols == ord("]")) | (symbols == ord("}"))
    return int(np.cumsum(opened.astype(np.int32) - closed, dtype=np.int32).max(initial=0))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_string(key)}:{_text(item)}" for key, item in sorted(value.items()))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value)


def _string(text: str) -> str:
    quoted = json.dumps(_LONE_SURROGATE.sub("\ufffd", text), ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)


def _float(value: float) -> str:
    """The shortest digits that read back the same; exponents only below 1e-6 and from 1e21 on."""
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"cannot unmarshal number {text[:40]} into Go value of type float64")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"invalid character {text[0]!r} looking for beginning of value")
