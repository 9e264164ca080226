"""What a server answers to V2 over gRPC: tensors, or text and its telemetry."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from predictors.contract import TELEMETRY, TEXT_OUTPUT, Scalar
from predictors.contract.codec import parameter_value
from predictors.contract.tensors import (
    BYTES,
    DTYPES,
    TensorResponse,
    dtype_of,
    parse_raw_tensor,
    parse_tensor,
    raw_elements,
)
from predictors.upstream.v2 import tensor_response

CONTENTS: Final[Mapping[str, str]] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}


def infer_response(message: Any) -> TensorResponse:
    """Raises ValueError, InvalidRequest where it breaks V2."""
    outputs = {}
    for output, raw in _outputs(message):
        described = (output.name, output.datatype, _shape(output, raw))
        if raw is not None:
            outputs[output.name] = parse_raw_tensor(*described, raw)
        else:
            contents = getattr(output.contents, CONTENTS.get(output.datatype, ""), [])
            outputs[output.name] = parse_tensor(*described, list(contents))
    return tensor_response(outputs, _parameters(message), message.model_name)


def text_response(message: Any) -> dict[str, Any]:
    """The outputs of text and telemetry as V2 JSON has them; others may be of any kind.

    Raises ValueError, InvalidRequest where it breaks V2, or the text is not UTF-8.
    """
    outputs: list[dict[str, Any]] = []
    for output, raw in _outputs(message):
        if output.name == TEXT_OUTPUT:
            elements = _contents(output) if raw is None else raw_elements(output.name, raw)
            texts = [each.decode() if isinstance(each, bytes) else each for each in elements]
            outputs.append({"name": output.name, "data": texts})
        elif output.name in TELEMETRY:
            numbers = _contents(output) if raw is None else _raw_numbers(output.datatype, raw)
            outputs.append({"name": output.name, "data": numbers})
    return {
        "outputs": outputs,
        "parameters": _parameters(message),
        "model_name": message.model_name,
    }


def _outputs(message: Any) -> list[tuple[Any, bytes | None]]:
    """Each output with its raw contents; all have them, or none has. Raises ValueError."""
    raw = list(message.raw_output_contents)
    if raw and len(raw) != len(message.outputs):
        raise ValueError(f"{len(raw)} raw contents for {len(message.outputs)} outputs")
    return list(zip(message.outputs, raw or [None] * len(message.outputs), strict=True))


def _contents(output: Any) -> list[Any]:
    """Of whichever datatype."""
    return [each for _, values in output.contents.ListFields() for each in values]


def _raw_numbers(datatype: str, raw: bytes) -> list[Any] | None:
    """None for what is no telemetry."""
    dtype = DTYPES.get(datatype)
    if dtype is None or dtype.kind not in "iuf" or len(raw) % dtype.itemsize:
        return None
    numbers: list[Any] = np.frombuffer(raw, dtype.newbyteorder("<")).tolist()
    return numbers


def _shape(output: Any, raw: bytes | None) -> list[int]:
    """That of the data where the server left it out, unless it is a scalar."""
    if output.shape:
        return list(output.shape)
    if raw is None:
        count = len(_contents(output))
    elif output.datatype == BYTES:
        count = len(raw_elements(output.name, raw))
    else:
        count = len(raw) // dtype_of(output.name, output.datatype).itemsize
    return [] if count == 1 else [count]


def _parameters(message: Any) -> dict[str, Scalar | None]:
    return {name: parameter_value(value) for name, value in message.parameters.items()}
