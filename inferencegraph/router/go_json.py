"""JSON values as Go's encoding/json reads them into `interface{}` and writes them again.

KServe's router does that to the bodies it merges (Ensemble) or remaps (mapPredictionsToInstances):
keys come out sorted, every number is a float64, and <, > and & are escaped.
"""

import json
import math
import re
from decimal import Decimal
from typing import Any, Final

_REPLACED: Final = re.compile("[\ud800-\udfff]")  # a lone surrogate, to Go, is U+FFFD
_ESCAPED: Final = re.compile("[<>&\u2028\u2029]")


def loads(body: bytes) -> Any:
    """Raises ValueError for what Go can't read: no JSON, a number beyond float64, too deep."""
    text = body.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_constant)
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def dumps(value: Any) -> bytes:
    return _text(value).encode()


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
    quoted = json.dumps(_REPLACED.sub("\ufffd", text), ensure_ascii=False)
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
