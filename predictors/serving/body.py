"""The body of a POST as kserve's routes take it, whatever real clients make of a V2 request.

inflate     Content-Encoding gzip and deflate, within the limit of bodies
as_v2       JSON whatever Content-Type says; lists and nulls that kserve's types refuse

tritonclient names no type for JSON, curl -d names that of a form, MLServer's types write nulls.
Binary requests (Inference-Header-Content-Length) are checked, and stay as they are.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from predictors.contract import plain_parameters
from predictors.contract.binary import check_binary_request
from predictors.errors import InvalidRequest, PayloadTooLarge, UnsupportedMedia
from predictors.memory import hold

Headers = Mapping[bytes, bytes]  # names in lower case

JSON: Final = b"application/json"
IS_JSON: Final = re.compile(rb"application/([\w.-]+\+)?json\s*(;|$)", re.IGNORECASE)
BINARY: Final = b"application/octet-stream"
BINARY_LENGTH: Final = b"inference-header-content-length"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# RFC 9110, section 8.4.1: deflate is zlib's format; some clients send it bare.
GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
BARE_DEFLATE: Final = -zlib.MAX_WBITS


def inflate(encodings: bytes, body: bytes, limit: int) -> bytes:
    """The body before it was encoded. Raises UnsupportedMedia for an encoding other than gzip and
    deflate, PayloadTooLarge above `limit` bytes, InvalidRequest for what doesn't inflate,
    Overloaded where the calls in flight hold too much with it."""
    names = [name.strip().lower() for name in encodings.decode("latin-1").split(",")]
    for name in reversed(names):  # in the order that they were applied
        if name in ("", "identity"):
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise UnsupportedMedia(
                f"Content-Encoding {name!r} is not known here; send gzip, deflate, or the body as "
                "it is"
            )
        try:
            body = _inflated(body, name, limit)
        except zlib.error as error:
            raise InvalidRequest(f"the body is not valid {name}: {error}") from None
    return body


def _inflated(body: bytes, name: str, limit: int) -> bytes:
    try:
        return b"".join(_members(body, GZIP_OR_ZLIB, name, limit))
    except zlib.error:
        if name != "deflate":
            raise
        return b"".join(_members(body, BARE_DEFLATE, name, limit))


def _members(body: bytes, format: int, name: str, limit: int) -> Iterator[bytes]:
    """gzip may be several files, one behind the other."""
    while body:
        member = zlib.decompressobj(format)
        inflated = member.decompress(body, limit + 1)
        limit -= len(inflated)
        if limit < 0:
            raise PayloadTooLarge("the body has more bytes than the limit, once inflated")
        if not member.eof:
            raise zlib.error("it ends too early")
        if member.unused_data and name == "deflate":
            raise zlib.error("bytes behind its end")
        hold(len(inflated))
        yield inflated
        body = member.unused_data


def as_v2(headers: Headers, body: bytes) -> tuple[bytes, bytes]:
    """Content-Type and body for kserve's routes. Raises InvalidRequest for what would make kserve
    answer 500: broken JSON, UTF-8, surrogates, binary parts."""
    json_length = headers.get(BINARY_LENGTH)
    if json_length is not None:
        check_binary_request(json_length, body)
        return BINARY, body
    content_type = headers.get(b"content-type", b"")
    if not IS_JSON.match(content_type):
        content_type = JSON
    body = body.removeprefix(BYTE_ORDER_MARK)
    if not body:
        return content_type, body
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}{_hint(body)}") from None
    changed = isinstance(request, dict) and _simplify(request)
    return content_type, orjson.dumps(request) if changed else body


def _hint(body: bytes) -> str:
    literal = any(name in body for name in (b"NaN", b"Infinity"))
    return "; NaN and Infinity are no numbers of JSON" if literal else ""


def _simplify(request: dict[str, Any]) -> bool:
    """Makes of `request` what kserve's types take; whether that changed anything.

    Raises InvalidRequest for a parameter that is a list or an object.
    """
    changed = _simple_parameters(request)
    for kind in ("inputs", "outputs"):
        tensors = request.get(kind)
        for tensor in tensors if isinstance(tensors, list) else ():
            if isinstance(tensor, dict):
                changed |= _simple_parameters(tensor)
    return changed


def _simple_parameters(holder: dict[str, Any]) -> bool:
    parameters = holder.get("parameters")
    if not isinstance(parameters, dict):
        return False
    odd = any(value is None or isinstance(value, list | dict) for value in parameters.values())
    if odd:
        holder["parameters"] = plain_parameters(parameters)
    return odd
