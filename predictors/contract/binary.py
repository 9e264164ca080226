"""Checks V2 requests with binary tensors, which kserve decodes unchecked.

Layout (V2 binary extension): `Inference-Header-Content-Length` bytes of JSON, then the raw data of
each input that has `parameters.binary_data_size`, in order.
"""

import math
from typing import Any

import orjson

from predictors.contract.tensors import BYTES, check_raw_size, check_shape, raw_elements
from predictors.errors import InvalidRequest


def check_binary_request(json_length: bytes, body: bytes) -> None:
    """Raises InvalidRequest that names the first thing that is wrong."""
    if not json_length.isdigit() or int(json_length) > len(body):
        raise InvalidRequest(
            f"Inference-Header-Content-Length {json_length.decode('latin-1')!r} is not a length "
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
    for key, kind in (("id", str), ("parameters", dict), ("outputs", list)):
        if not isinstance(request.get(key), kind | None):
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
    ):
        raise InvalidRequest("each input must have a name, a datatype and a shape")
    check_shape(tensor["name"], tensor["shape"])


def _check_tensor(tensor: dict[str, Any], raw: bytes) -> None:
    name, datatype, shape = tensor["name"], tensor["datatype"].upper(), tensor["shape"]
    if datatype != BYTES:
        check_raw_size(name, datatype, shape, raw)
        return
    elements = raw_elements(name, raw)
    if len(elements) != math.prod(shape):
        raise InvalidRequest(f"{name!r} has shape {shape} but {len(elements)} elements")
    for index, element in enumerate(elements):
        try:
            element.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"input {name!r}: element {index} is not UTF-8") from None
