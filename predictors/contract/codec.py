"""Between kserve's InferRequest/InferResponse (REST and gRPC) and Query/Answer."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse
from kserve.protocol.infer_type import InferInput, to_http_parameters

from predictors.contract import (
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
from predictors.contract.tensors import (
    BYTES,
    FP16,
    Tensor,
    TensorRequest,
    TensorResponse,
    json_data,
    parse_raw_tensor,
    parse_tensor,
    raw_elements,
)
from predictors.errors import InvalidRequest


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
        data = raw_elements(TEXT_INPUT, tensor._raw_data)
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


def has_text(request: InferRequest) -> bool:
    return any(tensor.name == TEXT_INPUT for tensor in request.inputs)


def decode_tensors(request: InferRequest) -> TensorRequest:
    """A request to a model of tensors. Raises InvalidRequest, naming what is wrong."""
    inputs: dict[str, Tensor] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise InvalidRequest(f"the request has more than one input {tensor.name!r}")
        inputs[tensor.name] = _tensor(tensor)
    if not inputs:
        raise InvalidRequest("the request has no inputs")
    wanted = tuple(output.name for output in request.request_outputs or ())
    return TensorRequest(inputs, request_parameters(request), wanted)


def encode_tensors(
    request: InferRequest, response: TensorResponse, model_name: str
) -> InferResponse:
    """The response: the tensors, `served_by`, `cached`, and `hem_*` carried back.

    Raises InvalidRequest for an output that the request names and the model doesn't give, and for
    one that JSON can't carry.
    """
    given = response.outputs
    wanted = [output.name for output in request.request_outputs or ()] or list(given)
    for name in wanted:
        if name not in given:
            raise InvalidRequest(f"unknown output {name!r}; this model gives {', '.join(given)}")
    as_arrays = not request.from_grpc or _is_raw(request, [given[name] for name in wanted])
    outputs = [_tensor_output(name, given[name], as_arrays, request.from_grpc) for name in wanted]
    if not request.from_grpc:
        for name in set(wanted) - _binary_outputs(request, wanted):
            _check_json(name, given[name])
    parameters: dict[str, Any] = hem_parameters(request_parameters(request))
    parameters[SERVED_BY] = response.served_by or model_name
    parameters[CACHED] = response.cached
    return build_response(request, outputs, parameters, model_name)


def _is_raw(request: InferRequest, tensors: Sequence[Tensor]) -> bool:
    """Over gRPC all outputs are raw, or none is; typed contents have no FP16."""
    return request.use_binary_outputs or any(tensor.datatype == FP16 for tensor in tensors)


def _tensor_output(name: str, tensor: Tensor, as_array: bool, from_grpc: bool) -> InferOutput:
    """kserve makes JSON or binary data of an array; over gRPC it takes typed contents as a list,
    and fails on an array beside raw ones unless it is raw already."""
    values = tensor.values
    data = values if as_array else values.ravel().tolist()
    output = InferOutput(name, list(values.shape), tensor.datatype, data)
    if from_grpc and as_array:
        output.set_data_from_numpy(values, binary_data=True)
        output.parameters = None  # a binary_data_size, which is HTTP's
    return output


def _binary_outputs(request: InferRequest, names: Sequence[str]) -> set[str]:
    """Of a REST request: what goes behind the JSON. Outputs that it names say so each."""
    if request.request_outputs:
        return {output.name for output in request.request_outputs if output.binary_data}
    return set(names) if request.use_binary_outputs else set()


def _check_json(name: str, tensor: Tensor) -> None:
    way_out = "ask for it with the parameter binary_data"
    if tensor.datatype == FP16:
        raise InvalidRequest(f"output {name!r} is FP16, which V2 JSON can't carry; {way_out}")
    if tensor.datatype == BYTES:
        try:
            json_data(tensor)
        except ValueError:
            raise InvalidRequest(
                f"output {name!r} is not UTF-8, which JSON can't carry; {way_out}"
            ) from None


def _tensor(tensor: InferInput) -> Tensor:
    if tensor._raw_data is not None:
        return parse_raw_tensor(tensor.name, tensor.datatype, tensor.shape, tensor._raw_data)
    return parse_tensor(tensor.name, tensor.datatype, tensor.shape, tensor.data)


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
