"""Between kserve's InferRequest/InferResponse (REST and gRPC) and Query/Answer."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse
from kserve.protocol.infer_type import InferInput, to_http_parameters

from predictors.errors import InvalidRequest
from predictors.protocol import (
    CACHED,
    SERVED_BY,
    TELEMETRY,
    TEXT_INPUT,
    TEXT_OUTPUT,
    Answer,
    Query,
    Sampling,
    hem_parameters,
    parse_sampling,
    parse_texts,
)


def request_parameters(request: InferRequest) -> dict[str, Any]:
    """Parameters as a plain dict: REST gives a dict or None, gRPC a protobuf map."""
    parameters = request.parameters
    if not parameters:
        return {}
    return to_http_parameters(parameters) if request.from_grpc else dict(parameters)


def text_input(request: InferRequest) -> InferInput:
    """The one `text_input` tensor. Raises InvalidRequest where it is missing or there twice."""
    found = [tensor for tensor in request.inputs if tensor.name == TEXT_INPUT]
    if len(found) != 1:
        there = ", ".join(repr(tensor.name) for tensor in request.inputs[:8]) or "none"
        count = "no" if not found else "more than one"
        raise InvalidRequest(f"the request has {count} input {TEXT_INPUT!r}; its inputs: {there}")
    return found[0]


def request_texts(request: InferRequest) -> list[str]:
    """The queries' texts, validated."""
    tensor = text_input(request)
    data = tensor.data
    if tensor._raw_data is not None:
        data = _raw_bytes_elements(tensor._raw_data)
    return parse_texts(tensor.shape, tensor.datatype, data)


def decode_request(request: InferRequest, defaults: Sampling) -> list[Query]:
    """The queries of a request to a text model. Raises InvalidRequest, naming what is wrong."""
    texts = request_texts(request)
    for tensor in request.inputs:
        if tensor.name != TEXT_INPUT:
            raise InvalidRequest(f"unknown input {tensor.name!r}; this model takes {TEXT_INPUT!r}")
    known = {TEXT_OUTPUT, *TELEMETRY}
    for output in request.request_outputs or ():
        if output.name not in known:
            raise InvalidRequest(
                f"unknown output {output.name!r}; this model gives {', '.join(sorted(known))}"
            )
    sampling = parse_sampling(request_parameters(request), defaults)
    return [Query(text, sampling) for text in texts]


def encode_answers(
    request: InferRequest, answers: Sequence[Answer], model_name: str
) -> InferResponse:
    """The response: text, the telemetry that every row has, `served_by`, and `hem_*` carried back.

    Only outputs that the request names, if it names any.
    """
    outputs = [_output(TEXT_OUTPUT, "BYTES", [answer.text for answer in answers])]
    for name, datatype in TELEMETRY.items():
        column = [getattr(answer, name) for answer in answers]
        if None not in column:
            outputs.append(_output(name, datatype, column))
    wanted = {output.name for output in request.request_outputs or ()}
    parameters: dict[str, Any] = hem_parameters(request_parameters(request))
    parameters[SERVED_BY] = answers[0].served_by or model_name
    parameters[CACHED] = all(answer.cached for answer in answers)
    return build_response(
        request, [o for o in outputs if not wanted or o.name in wanted], parameters, model_name
    )


def build_response(
    request: InferRequest,
    outputs: list[InferOutput],
    parameters: Mapping[str, Any],
    model_name: str,
) -> InferResponse:
    """An InferResponse that survives REST and gRPC: an id, and no floats in gRPC parameters."""
    sendable = _without_floats(parameters) if request.from_grpc else dict(parameters)
    return InferResponse(
        response_id=request.id or str(uuid.uuid4()),
        model_name=model_name,
        infer_outputs=outputs,
        parameters=sendable,
        from_grpc=request.from_grpc,
        use_binary_outputs=bool(request.use_binary_outputs),
        requested_outputs=request.request_outputs,
    )


def _output(name: str, datatype: str, column: list[Any]) -> InferOutput:
    return InferOutput(name=name, shape=[len(column)], datatype=datatype, data=column)


def _without_floats(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {k: repr(v) if isinstance(v, float) else v for k, v in parameters.items()}


def _raw_bytes_elements(raw: bytes) -> list[bytes]:
    """Elements of a raw BYTES tensor: 4-byte little-endian length, then the bytes, repeated."""
    elements = []
    offset = 0
    while offset < len(raw):
        start = offset + 4
        end = start + int.from_bytes(raw[offset:start], "little")
        if end > len(raw):
            raise InvalidRequest(f"{TEXT_INPUT} has broken raw contents")
        elements.append(raw[start:end])
        offset = end
    return elements
