"""Between kserve's objects (InferRequest, InferResponse; REST and gRPC) and the contract's own.

decode_* read a request, encode_* write a response (tensor_codec has those of tensors);
`request_json` writes a request again.
"""

import math
import struct
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_interceptor import exceptions as grpc_exceptions
from kserve import InferOutput, InferRequest, InferResponse
from kserve.protocol.infer_type import InferInput

from predictors.contract import (
    CACHED,
    SERVED_BY,
    TELEMETRY,
    TEXT_INPUT,
    TEXT_OUTPUT,
    Answer,
    Query,
    Sampling,
    Scalar,
    grpc_scalars,
    hem_parameters,
    is_telemetry,
    parse_sampling,
    parse_texts,
    plain_parameters,
)
from predictors.contract.answer import Speculation
from predictors.contract.names import SPECULATION, SPECULATION_REASON, SPECULATION_TELEMETRY
from predictors.contract.tensors import (
    BYTES,
    Tensor,
    from_base64,
    json_data,
    parse_raw_tensor,
    raw_elements,
)
from predictors.errors import HEMError, InvalidRequest, known

# Parameters of the V2 binary extension, which a JSON request doesn't have.
BINARY_PARAMETERS: Final = frozenset({"binary_data", "binary_data_output", "binary_data_size"})
TEXT_OUTPUTS: Final = {TEXT_OUTPUT: BYTES, **TELEMETRY}  # name -> V2 datatype; each is [N]
_ALL_OUTPUTS: Final = {**TEXT_OUTPUTS, **SPECULATION_TELEMETRY}
# Fields of V2's InferParameter that kserve's copy of the protocol lacks, and Triton's has.
DOUBLE_PARAM: Final = 4
UINT64_PARAM: Final = 5
_GRPC_STATUS: Final[Mapping[int, type[grpc_exceptions.GrpcException]]] = {
    400: grpc_exceptions.InvalidArgument,
    404: grpc_exceptions.NotFound,
    413: grpc_exceptions.ResourceExhausted,
    422: grpc_exceptions.InvalidArgument,
    502: grpc_exceptions.Unavailable,
    503: grpc_exceptions.Unavailable,
    504: grpc_exceptions.DeadlineExceeded,
}


def grpc_error(error: HEMError) -> grpc_exceptions.GrpcException:
    """An error of ours over gRPC: kserve's interceptor sends the status of a GrpcException."""
    return _GRPC_STATUS.get(error.status, grpc_exceptions.Internal)(details=str(error))


def request_parameters(request: InferRequest) -> dict[str, Any]:
    """Parameters as a plain dict: REST has a dict or None, gRPC a protobuf map.

    Raises InvalidRequest for a parameter of gRPC's without a value, and for what is not a scalar.
    """
    parameters = request.parameters
    if not parameters:
        return {}
    if not request.from_grpc:
        return plain_parameters(parameters)
    return {name: _from_grpc(name, parameter) for name, parameter in parameters.items()}


def _from_grpc(name: str, parameter: Any) -> Scalar:
    value = parameter_value(parameter)
    if value is None:
        raise InvalidRequest(
            f"parameter {name!r} has no value; set its string_param, double_param, int64_param, "
            "uint64_param or bool_param, or leave it out"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"parameter {name!r} must be a number, not {value}")
    return value


def parameter_value(parameter: Any) -> Scalar | None:
    """Of one of gRPC's, by kserve's protocol or Triton's; None where it has no value."""
    kind = parameter.WhichOneof("parameter_choice")
    if kind is not None:
        value: Scalar = getattr(parameter, kind)
        return value
    for unknown in UnknownFieldSet(parameter):
        if unknown.field_number == DOUBLE_PARAM and isinstance(unknown.data, int):
            return float(struct.unpack("<d", struct.pack("<Q", unknown.data))[0])
        if unknown.field_number == UINT64_PARAM and isinstance(unknown.data, int):
            return unknown.data
    return None


def has_text(request: InferRequest) -> bool:
    """Whether the request has an input `text_input`."""
    return any(tensor.name == TEXT_INPUT for tensor in request.inputs)


def request_texts(request: InferRequest) -> list[str]:
    """The texts of the queries. Raises InvalidRequest where `text_input` is missing, there twice,
    or not valid."""
    tensors = [tensor for tensor in request.inputs if tensor.name == TEXT_INPUT]
    if len(tensors) != 1:
        names = ", ".join(repr(tensor.name) for tensor in request.inputs[:8]) or "none"
        count = "more than one" if tensors else "no"
        raise InvalidRequest(f"the request has {count} input {TEXT_INPUT!r}; its inputs: {names}")
    (tensor,) = tensors
    return parse_texts(tensor.shape, tensor.datatype, bytes_data(tensor))


def bytes_data(tensor: InferInput) -> Any:
    """Of an input that should be BYTES: nothing is checked yet."""
    raw = tensor._raw_data
    data = tensor.data if raw is None else raw_elements(tensor.name, raw)
    return from_base64(tensor.name, data) if is_base64(tensor) else data


def is_base64(tensor: InferInput) -> bool:
    """Whether MLServer would decode its elements."""
    parameters = tensor.parameters
    return bool(parameters) and parameters.get("content_type") == "base64"


def wanted_outputs(request: InferRequest, names: Collection[str]) -> list[str]:
    """The outputs that the request names, or all `names` of the model where it names none.

    Raises InvalidRequest for an output that the model doesn't have.
    """
    wanted = [output.name for output in request.request_outputs or ()] or list(names)
    for name in wanted:
        if name not in names:
            raise InvalidRequest(f"unknown output {name!r}; {known(name, names)}")
    return wanted


def decode_request(request: InferRequest, defaults: Sampling) -> list[Query]:
    """The queries of a request to a text model. Raises InvalidRequest that names what is wrong."""
    texts = request_texts(request)
    for tensor in request.inputs:
        if tensor.name != TEXT_INPUT:
            raise InvalidRequest(f"unknown input {tensor.name!r}; this model takes {TEXT_INPUT!r}")
    wanted_outputs(request, _ALL_OUTPUTS)
    sampling = parse_sampling(request_parameters(request), defaults)
    return [Query(text, sampling) for text in texts]


def encode_answers(
    request: InferRequest, answers: Sequence[Answer], model_name: str
) -> InferResponse:
    """The response: text, the telemetry that every row has, `served_by`, `cached`, how it came
    about where a small model drafts, and the request's `hem_*`; of the outputs only those that the
    request names, if it names any."""
    wanted = wanted_outputs(request, _ALL_OUTPUTS)
    columns = {name: [getattr(answer, name) for answer in answers] for name in TELEMETRY}
    columns = {TEXT_OUTPUT: [answer.text for answer in answers], **columns}
    outputs = [
        InferOutput(name, [len(column)], TEXT_OUTPUTS[name], column)
        for name, column in columns.items()
        if name in wanted and (name == TEXT_OUTPUT or all(is_telemetry(name, v) for v in column))
    ]
    told = [answer.speculation for answer in answers if answer.speculation is not None]
    if len(told) == len(answers):
        outputs += [
            InferOutput(name, [len(told)], datatype, [getattr(each, name) for each in told])
            for name, datatype in SPECULATION_TELEMETRY.items()
            if name in wanted
        ]
    parameters = {
        **hem_parameters(request_parameters(request)),
        SERVED_BY: answers[0].served_by or model_name,
        CACHED: all(answer.cached for answer in answers),
        **_speculation(told),
    }
    return build_response(request, outputs, parameters, model_name)


def _speculation(told: Sequence[Speculation]) -> dict[str, str]:
    """Of several rows all that occur."""
    routes = ",".join(sorted({each.route for each in told}))
    reasons = "; ".join(sorted({each.reason for each in told if each.reason}))
    said = {SPECULATION: routes, SPECULATION_REASON: reasons}
    return {name: value for name, value in said.items() if value}


def build_response(
    request: InferRequest,
    outputs: list[InferOutput],
    parameters: Mapping[str, Any],
    model_name: str,
) -> InferResponse:
    """An InferResponse that survives REST and gRPC: an id, and of numbers in gRPC parameters only
    what kserve's protocol has."""
    return InferResponse(
        response_id=request.id or str(uuid.uuid4()),
        model_name=model_name,
        infer_outputs=outputs,
        parameters=grpc_scalars(parameters) if request.from_grpc else dict(parameters),
        from_grpc=request.from_grpc,
        use_binary_outputs=bool(request.use_binary_outputs),
        requested_outputs=request.request_outputs,
    )


def request_json(
    request: InferRequest, parameters: Mapping[str, Any], outputs: bool = True
) -> bytes:
    """The request as V2 JSON again, with these parameters; all else is as the client sent it.

    `outputs=False` leaves out which outputs the client wants. Raises InvalidRequest for what JSON
    can't carry.
    """
    body: dict[str, Any] = {"id": request.id} if request.id else {}
    body |= _described(parameters)
    body["inputs"] = [
        {
            "name": tensor.name,
            "shape": tensor.shape,
            "datatype": tensor.datatype,
            **_described(tensor.parameters),
            "data": _input_data(tensor),
        }
        for tensor in request.inputs
    ]
    if outputs and request.request_outputs:
        body["outputs"] = [
            {"name": output.name, **_described(output.parameters)}
            for output in request.request_outputs
        ]
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InvalidRequest(f"the request can't be passed on as JSON: {error}") from error


def without(parameters: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The parameters but for those of these names."""
    return {name: value for name, value in parameters.items() if name not in names}


def _described(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    kept = without(parameters or {}, BINARY_PARAMETERS)
    return {"parameters": kept} if kept else {}


def _input_data(tensor: InferInput) -> list[Any]:
    """REST data are JSON already; gRPC has BYTES as bytes, and raw contents."""
    try:
        if tensor._raw_data is not None:
            described = (tensor.name, tensor.datatype, tensor.shape)
            return json_data(_finite(tensor.name, parse_raw_tensor(*described, tensor._raw_data)))
        if tensor.datatype == BYTES:
            return [each.decode() if isinstance(each, bytes) else each for each in tensor.data]
        if isinstance(tensor.data, list) and all(isinstance(each, float) for each in tensor.data):
            _finite(tensor.name, Tensor.of(np.array(tensor.data, dtype=np.float64)))
        return list(tensor.data)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"input {tensor.name!r} is not UTF-8: {error.reason}") from error


def _finite(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_finite():
        raise InvalidRequest(f"input {name!r} holds NaN or infinity; send finite numbers")
    return tensor
