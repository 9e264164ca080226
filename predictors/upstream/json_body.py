"""JSON as other servers write it, which is not always the standard's."""

import json
from typing import Any

import orjson


def parse_json(body: bytes | str) -> Any:
    """Also takes a byte order mark, the NaN and Infinity that Python's `json` writes, and halves of
    surrogate pairs, which stay as they are. Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        standard = error
    try:
        text = body if isinstance(body, str) else body.decode()
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        raise standard from None


def whole_pairs(text: str) -> str:
    """Halves of surrogate pairs that met again are one character; one left alone is U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
