"""The codec of models whose inputs and outputs are any tensors."""

from collections.abc import Mapping

from kserve import InferOutput, InferRequest, InferResponse

from predictors.contract import (
    CACHED,
    SERVED_BY,
    hem_parameters,
)
from predictors.contract.codec import (
    build_response,
    bytes_data,
    is_base64,
    request_parameters,
    wanted_outputs,
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
)
from predictors.errors import InvalidRequest


def decode_tensors(request: InferRequest) -> TensorRequest:
    """A request to a model of tensors. Raises InvalidRequest that names what is wrong."""
    inputs: dict[str, Tensor] = {}
    for tensor in request.inputs:
        name, raw = tensor.name, tensor._raw_data
        if name in inputs:
            raise InvalidRequest(f"the request has more than one input {name!r}")
        described = (name, tensor.datatype, tensor.shape)
        if raw is None or (tensor.datatype == BYTES and is_base64(tensor)):
            inputs[name] = parse_tensor(*described, bytes_data(tensor))
        else:
            inputs[name] = parse_raw_tensor(*described, raw)
    if not inputs:
        raise InvalidRequest("the request has no inputs")
    wanted = tuple(output.name for output in request.request_outputs or ())
    return TensorRequest(inputs, request_parameters(request), wanted)


def encode_tensors(
    request: InferRequest, response: TensorResponse, model_name: str
) -> InferResponse:
    """The response: the tensors, `served_by`, `cached`, and the request's `hem_*`.

    Raises InvalidRequest for an output that the request names and the model doesn't have, and for
    one that JSON can't carry.
    """
    tensors = response.outputs
    wanted = wanted_outputs(request, tensors)
    # Over gRPC all outputs are raw, or none is; typed contents have no FP16.
    as_arrays = (
        not request.from_grpc
        or request.use_binary_outputs
        or any(tensors[name].datatype == FP16 for name in wanted)
    )
    outputs = [_tensor_output(name, tensors[name], as_arrays, request.from_grpc) for name in wanted]
    if not request.from_grpc:
        _refuse_what_json_cannot_carry(request, {name: tensors[name] for name in wanted})
    parameters = {
        **hem_parameters(request_parameters(request)),
        SERVED_BY: response.served_by or model_name,
        CACHED: response.cached,
    }
    return build_response(request, outputs, parameters, model_name)


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


def _refuse_what_json_cannot_carry(request: InferRequest, outputs: Mapping[str, Tensor]) -> None:
    """Raises InvalidRequest for FP16, NaN, infinity, and BYTES that are not UTF-8, unless the
    request wants the output behind the JSON: by its `binary_data`, or, where it names no outputs,
    by its own `binary_data_output`."""
    named = request.request_outputs or ()
    if not named and request.use_binary_outputs:
        return
    binary = {output.name for output in named if output.binary_data}
    for name in outputs.keys() - binary:
        if fault := _not_in_json(outputs[name]):
            raise InvalidRequest(
                f"output {name!r} {fault}, which V2 JSON can't carry; ask for it with the "
                "parameter binary_data"
            )


def _not_in_json(tensor: Tensor) -> str:
    if tensor.datatype == FP16:
        return "is FP16"
    if not tensor.is_finite():
        return "holds NaN or infinity"
    try:
        if tensor.datatype == BYTES:
            json_data(tensor)
    except ValueError:
        return "is not UTF-8"
    return ""
