"""kserve's InferRequest back to the V2 JSON that it came from, with other parameters."""

import struct
from collections.abc import Collection, Mapping
from typing import Any

import orjson
from kserve import InferRequest
from kserve.protocol.infer_type import InferInput

from predictors.errors import InvalidRequest

# Of the V2 binary extension, which a JSON request doesn't have.
BINARY_PARAMETERS = frozenset({"binary_data", "binary_data_output", "binary_data_size"})


def request_json(
    request: InferRequest, parameters: Mapping[str, Any], outputs: bool = True
) -> bytes:
    """The request with these parameters; all else is as the client sent it.

    `outputs=False` leaves out which outputs the client wants.
    """
    body: dict[str, Any] = {}
    if request.id:
        body["id"] = request.id
    shown = without(parameters, BINARY_PARAMETERS)
    if shown:
        body["parameters"] = shown
    body["inputs"] = [_input(tensor) for tensor in request.inputs]
    if outputs and request.request_outputs:
        body["outputs"] = [
            _described({"name": output.name}, output.parameters)
            for output in request.request_outputs
        ]
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InvalidRequest(f"the request can't be passed on as JSON: {error}") from error


def without(parameters: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in names}


def _input(tensor: InferInput) -> dict[str, Any]:
    fields = {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype}
    return {**_described(fields, tensor.parameters), "data": _data(tensor)}


def _described(fields: dict[str, Any], parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    shown = without(parameters or {}, BINARY_PARAMETERS)
    return {**fields, "parameters": shown} if shown else fields


def _data(tensor: InferInput) -> list[Any]:
    """REST data is JSON already; gRPC has BYTES as bytes, and raw contents."""
    data = tensor.data
    if tensor._raw_data is not None:
        try:
            data = tensor.as_numpy().ravel().tolist()
        except (ValueError, struct.error) as error:
            raise InvalidRequest(f"input {tensor.name!r} has broken contents: {error}") from error
    if tensor.datatype != "BYTES":
        return list(data)
    try:
        return [each.decode() if isinstance(each, bytes) else each for each in data]
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"input {tensor.name!r} is not UTF-8: {error.reason}") from error
