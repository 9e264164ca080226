"""V2 over gRPC: raw tensors, so that FP16 and bytes that are no text pass as they are."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import (
    CACHED,
    SERVED_BY,
    Scalar,
)
from predictors.contract.tensors import (
    BYTES,
    Tensor,
    TensorRequest,
    TensorResponse,
    json_data,
    parse_raw_tensor,
    parse_tensor,
)
from predictors.engines.kserve.link import Link
from predictors.engines.kserve.response import tensor_response
from predictors.engines.kserve.settings import KServeSettings
from predictors.errors import (
    ConfigurationError,
    Failure,
    HEMError,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from predictors.upstream.call import Upstream, reading
from predictors.upstream.client import FORWARDED
from predictors.upstream.redaction import Redaction

T = TypeVar("T")

Code = grpc.StatusCode

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


TOO_LARGE: Final = "CLIENT: Received message larger than max"  # by our own limit, not by theirs


class GRPCLink(Link):
    def __init__(self, settings: KServeSettings) -> None:
        self._model = settings.upstream_model
        self._url = settings.url
        self._metadata = settings.headers()
        self._redaction = Redaction(self._metadata.values())
        self._upstream = Upstream(settings.url, settings)
        self._channel = _channel(settings)
        self._infer = GRPCInferenceServiceStub(self._channel).ModelInfer

    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        inputs = {
            tensor["name"]: parse_tensor(**_described(tensor)) for tensor in request["inputs"]
        }
        tensors = TensorRequest(inputs, request.get("parameters", {}))
        return await self._call(tensors, lambda response: read(_plain(response)))

    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        return await self._call(request, lambda response: response)

    async def _call(self, request: TensorRequest, read: Callable[[TensorResponse], T]) -> T:
        message = _request(self._model, request)
        return await self._upstream.call(lambda: self._attempt(message, read))

    async def _attempt(
        self, message: v2.ModelInferRequest, read: Callable[[TensorResponse], T]
    ) -> T:
        headers = {name.lower(): value for name, value in FORWARDED.get().items()}
        metadata = tuple({**self._metadata, **headers}.items())
        try:
            response = await self._infer(message, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            reason = self._redaction.reason(error.details() or "")
            raise _failure(error.code(), reason, self._url) from None
        with reading(self._url, self._redaction):
            return read(_response(response))

    async def close(self) -> None:
        await self._channel.close()


def _described(tensor: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tensor[key] for key in ("name", "datatype", "shape", "data")}


def _plain(response: TensorResponse) -> dict[str, Any]:
    """As V2 JSON has it. Raises ValueError for BYTES that are not UTF-8."""
    return {
        "outputs": [
            {"name": name, "data": json_data(tensor)} for name, tensor in response.outputs.items()
        ],
        "parameters": {SERVED_BY: response.served_by, CACHED: response.cached},
    }


def _channel(settings: KServeSettings) -> grpc.aio.Channel:
    """Connects when first asked, and again at once when a probe of the breaker asks."""
    if settings.proxy:
        raise ConfigurationError("--proxy works with --transport rest only")
    url = urlsplit(settings.url)
    if url.path:
        raise ConfigurationError(f"--url {settings.url!r}: gRPC has no path behind the port")
    connect = max(1, round(settings.connect_timeout * 1000))
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", settings.max_answer_bytes),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.min_reconnect_backoff_ms", connect),  # also bounds one attempt to connect
        ("grpc.initial_reconnect_backoff_ms", min(100, connect)),
        ("grpc.max_reconnect_backoff_ms", connect),
        # As seldom as servers allow. It also makes the kernel close, after 20 s, a connection to a
        # node that is gone; else calls would go into it for a quarter of an hour.
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    if url.scheme == "http":
        return grpc.aio.insecure_channel(f"{url.hostname}:{url.port or 80}", options)
    credentials = grpc.ssl_channel_credentials(_certificates(settings.ca_bundle))
    return grpc.aio.secure_channel(f"{url.hostname}:{url.port or 443}", credentials, options)


def _certificates(ca_bundle: str) -> bytes | None:
    try:
        return Path(ca_bundle).read_bytes() if ca_bundle else None
    except OSError as error:
        raise ConfigurationError(f"--ca_bundle {ca_bundle!r}: {error}") from None


def _request(model: str, request: TensorRequest) -> v2.ModelInferRequest:
    message = v2.ModelInferRequest(model_name=model)
    for name, value in request.parameters.items():
        _set_parameter(message.parameters[name], value)
    for name, tensor in request.inputs.items():
        message.inputs.add(name=name, datatype=tensor.datatype, shape=tensor.values.shape)
        message.raw_input_contents.append(_raw(tensor))
    for name in request.outputs:
        message.outputs.add(name=name)
    return message


def _set_parameter(parameter: v2.InferParameter, value: Scalar) -> None:
    """A number that is not whole travels as a decimal string: V2's gRPC has no floats there."""
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = value if isinstance(value, str) else repr(value)


def _raw(tensor: Tensor) -> bytes:
    if tensor.datatype == BYTES:
        elements = tensor.values.ravel().tolist()
        return b"".join(len(item).to_bytes(4, "little") + item for item in elements)
    return tensor.values.astype(tensor.values.dtype.newbyteorder("<"), copy=False).tobytes()


def _response(message: v2.ModelInferResponse) -> TensorResponse:
    raw = message.raw_output_contents
    if raw and len(raw) != len(message.outputs):
        raise ValueError(f"{len(raw)} raw contents for {len(message.outputs)} outputs")
    outputs = {}
    for index, output in enumerate(message.outputs):
        described = (output.name, output.datatype, list(output.shape))
        if raw:
            outputs[output.name] = parse_raw_tensor(*described, raw[index])
        else:
            contents = getattr(output.contents, CONTENTS.get(output.datatype, ""), [])
            outputs[output.name] = parse_tensor(*described, list(contents))
    parameters = {name: _value(value) for name, value in message.parameters.items()}
    return tensor_response(outputs, parameters, message.model_name)


def _value(parameter: v2.InferParameter) -> Scalar | None:
    kind = parameter.WhichOneof("parameter_choice")
    return None if kind is None else getattr(parameter, kind)


def _failure(code: grpc.StatusCode, reason: str, url: str) -> HEMError:
    """`reason` is the far side's own where it is ours: predictors.contract.codec is the other
    direction."""
    text = f"{url} answered {code.name}: {reason}"
    if code is Code.INVALID_ARGUMENT:
        return InvalidRequest(reason)
    if code is Code.UNAVAILABLE:
        return UpstreamUnavailable(f"{url} is unavailable: {reason}")
    if code is Code.DEADLINE_EXCEEDED:
        return UpstreamTimeout(text, retryable=True)
    if code is Code.RESOURCE_EXHAUSTED and TOO_LARGE in reason:
        return UpstreamError(f"{text} (max_answer_bytes)")
    if code is Code.RESOURCE_EXHAUSTED:
        return UpstreamUnavailable(text, failure=Failure.REFUSED, retryable=False)
    refused = code in (
        Code.NOT_FOUND,
        Code.UNIMPLEMENTED,
        Code.UNAUTHENTICATED,
        Code.PERMISSION_DENIED,
    )
    return UpstreamError(text, failure=Failure.REFUSED if refused else Failure.SERVER_ERROR)
