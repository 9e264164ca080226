"""Checks V2 requests with binary tensors, which kserve decodes without looking.

Layout (V2 binary extension): `Inference-Header-Content-Length` bytes of JSON, then the raw data of
each input that has `parameters.binary_data_size`, in order.
"""

import math
from typing import Any, Final

import orjson

from predictors.errors import InvalidRequest

ITEM_SIZES: Final = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8,
    "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip


def check_binary_request(json_length: bytes, body: bytes) -> None:
    """Raises InvalidRequest, naming the first thing that is wrong."""
    if not json_length.isdigit() or int(json_length) > len(body):
        raise InvalidRequest(
            f"Inference-Header-Content-Length {json_length.decode('latin-1')!r} is no length "
            f"within the body of {len(body)} bytes"
        )
    offset = int(json_length)
    for tensor in _inputs(body[:offset]):
        parameters = tensor.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise InvalidRequest(f"parameters of input {tensor['name']!r} must be an object")
        size = parameters.get("binary_data_size")
        if size is None:
            if not isinstance(tensor.get("data"), list):
                raise InvalidRequest(f"input {tensor['name']!r} has neither data nor a binary size")
            continue
        if not isinstance(size, int) or size < 0 or offset + size > len(body):
            raise InvalidRequest(f"input {tensor['name']!r}: binary_data_size is not in the body")
        _check_tensor(tensor, body[offset : offset + size])
        offset += size
    if offset != len(body):
        raise InvalidRequest(f"{len(body) - offset} bytes after the last binary input")


def _inputs(header: bytes) -> list[dict[str, Any]]:
    try:
        request = orjson.loads(header)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the JSON part of the body is not valid: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise InvalidRequest("the JSON part of the body must be an object with inputs")
    for key in ("parameters", "outputs"):
        if not isinstance(request.get(key), dict | list | None):
            raise InvalidRequest(f"{key} of the request has the wrong type")
    for output in request.get("outputs") or ():
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise InvalidRequest("each output must be an object with a name")
    for tensor in request["inputs"]:
        _check_description(tensor)
    return list(request["inputs"])


def _check_description(tensor: Any) -> None:
    if (
        not isinstance(tensor, dict)
        or not isinstance(tensor.get("name"), str)
        or not isinstance(tensor.get("datatype"), str)
        or not isinstance(tensor.get("shape"), list)
        or not all(isinstance(n, int) and n >= 0 for n in tensor["shape"])
    ):
        raise InvalidRequest("each input must have a name, a datatype and a shape")


def _check_tensor(tensor: dict[str, Any], raw: bytes) -> None:
    name, datatype, count = tensor["name"], tensor["datatype"].upper(), math.prod(tensor["shape"])
    if datatype == "BYTES":
        found = _count_utf8_elements(name, raw)
        if found != count:
            raise InvalidRequest(f"input {name!r} has shape {tensor['shape']}, {found} elements")
    elif datatype not in ITEM_SIZES:
        raise InvalidRequest(f"input {name!r} has unknown datatype {tensor['datatype']!r}")
    elif len(raw) != count * ITEM_SIZES[datatype]:
        raise InvalidRequest(f"input {name!r}: {len(raw)} bytes don't fill {tensor['shape']}")


def _count_utf8_elements(name: str, raw: bytes) -> int:
    count = offset = 0
    while offset < len(raw):
        start = offset + 4
        offset = start + int.from_bytes(raw[offset:start], "little")
        if start > len(raw) or offset > len(raw):
            raise InvalidRequest(f"input {name!r}: element {count} runs past its data")
        try:
            raw[start:offset].decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"input {name!r}: element {count} is not UTF-8") from None
        count += 1
    return count
