"""V2 over gRPC: raw tensors, so that FP16, and bytes that are not text, pass as they are."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import grpc
import httpx
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import Scalar, grpc_scalars
from predictors.contract.tensors import (
    BYTES,
    Tensor,
    TensorRequest,
    TensorResponse,
    TensorType,
    parse_tensor,
)
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from predictors.memory import hold
from predictors.tracing.spans import carrier
from predictors.upstream.attempt import Refusal, reading
from predictors.upstream.call import Upstream
from predictors.upstream.client import FORWARDED, tls_context
from predictors.upstream.ledger.egress import Egress
from predictors.upstream.ledger.sent import Sent
from predictors.upstream.proxies import as_proxy, environment, environment_proxy
from predictors.upstream.redaction import NOTHING_SECRET, Redaction
from predictors.upstream.settings import Limits
from predictors.upstream.spans import rpc_span
from predictors.upstream.tenant import tenant_header
from predictors.upstream.traffic import Traffic
from predictors.upstream.v2 import V2Client, V2Metadata, V2Model
from predictors.upstream.v2_grpc_response import infer_response, text_response

T = TypeVar("T")

Code = grpc.StatusCode

# What a code is in HTTP, whose statuses decide (Refusal); predictors.serving.grpc_status is the
# other direction.
STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
    Code.INVALID_ARGUMENT: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.UNIMPLEMENTED: 405,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.DEADLINE_EXCEEDED: 504,
}
# gRPC has no codes of their own for these; its words say which side's limit it was.
TOO_LARGE_ANSWER: Final = "CLIENT: Received message larger than max"
TOO_LARGE_REQUEST: Final = "SERVER: Received message larger than max"
CERTIFICATE: Final = (
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "Peer name",
    "Hostname Verification",
)
# Behind all that gRPC says of addresses and its own layers.
CERTIFICATE_FAULT: Final = re.compile(r"(?:VERIFY_FAILED|UNAUTHENTICATED): ([^:.]+)")


def grpc_failure(
    error: grpc.RpcError,
    where: str,
    redaction: Redaction = NOTHING_SECRET,
    refused: Callable[[Refusal], HEMError] = Refusal.relayed,
) -> HEMError:
    """What a failed call means to our own caller: by the same tables as over HTTP."""
    code, reason = error.code(), redaction.reason(error.details() or "")
    if code is Code.UNAVAILABLE and any(sign in reason for sign in CERTIFICATE):
        why = CERTIFICATE_FAULT.search(reason)
        return UpstreamError(
            f"the certificate of {where} does not verify: {why[1] if why else reason}",
            Cause.CERTIFICATE,
        )
    if code is Code.UNAVAILABLE:
        return UpstreamError(f"{where} is unavailable: {reason}", Cause.UNREACHABLE)
    if TOO_LARGE_ANSWER in reason:
        return UpstreamError(f"{where}: {reason} (max_answer_bytes)", Cause.TOO_LARGE)
    status = 413 if TOO_LARGE_REQUEST in reason else STATUSES.get(code, 500)
    return refused(Refusal(where, status, reason, shown=code.name))


class GRPCClient(V2Client):
    def __init__(
        self,
        model: V2Model,
        limits: Limits,
        refused: Callable[[Refusal], HEMError] = Refusal.relayed,
    ) -> None:
        self._model = {"name": model.name, "version": model.version}
        self._asked = {"model_name": model.name, "model_version": model.version}
        self._url = model.url
        self._limits = limits
        self._metadata = model.headers
        self._redaction = Redaction.of(model.headers)
        self._refused = refused
        self._traffic = Traffic(model.url)
        self._upstream = Upstream(model.url, limits, alive=self._ready)
        self._channel = _channel(model, limits)
        self._egress = Egress(limits)
        self._stub = GRPCInferenceServiceStub(self._channel)

    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        inputs = {
            t["name"]: parse_tensor(t["name"], t["datatype"], t["shape"], t["data"])
            for t in request["inputs"]
        }
        tensors = TensorRequest(inputs, request.get("parameters", {}))
        return await self._infer(tensors, lambda answer: read(text_response(answer)))

    async def metadata(self) -> V2Metadata:
        message = v2.ModelMetadataRequest(**self._model)
        return await self._upstream.call(
            lambda: self._attempt(
                self._stub.ModelMetadata,
                message,
                lambda answer: V2Metadata(_types(answer.inputs), _types(answer.outputs)),
            ),
            computes=False,
        )

    def watch(self) -> None:
        self._upstream.watch(self.require_ready)

    async def _ready(self) -> bool:
        message = v2.ModelReadyRequest(**self._model)
        return await self._attempt(
            self._stub.ModelReady, message, lambda answer: bool(answer.ready)
        )

    async def infer(self, request: TensorRequest, read: Callable[[TensorResponse], T]) -> T:
        return await self._infer(request, lambda answer: read(infer_response(answer)))

    async def _infer(self, request: TensorRequest, read: Callable[[Any], T]) -> T:
        message = infer_request(v2.ModelInferRequest(**self._asked), request)
        return await self._upstream.call(
            lambda: self._attempt(self._stub.ModelInfer, message, read)
        )

    async def _attempt(
        self, method: Callable[..., Any], message: Any, read: Callable[[Any], T]
    ) -> T:
        name = type(message).__name__.removesuffix("Request")
        with rpc_span(self._url, name) as span, self._leaving(message) as sent:
            try:
                response = await method(message, metadata=self._sent())
            except grpc.aio.AioRpcError as error:
                sent.status = error.code().name
                span.set({"rpc.response.status_code": sent.status})
                raise self._failure(error) from None
            sent.status, sent.received = Code.OK.name, response.ByteSize()
            self._traffic.message(message.ByteSize(), sent.received)
            hold(sent.received)
            with reading(self._url, self._redaction):
                return read(response)

    def _leaving(self, message: Any) -> AbstractContextManager[Sent]:
        """See Egress.attempt; the method is the name of the message, whose bytes leave."""
        content = message.SerializeToString() if self._egress.records else b""
        return self._egress.attempt(self._url, type(message).__name__, content, {})

    def _sent(self) -> tuple[tuple[str, str], ...]:
        """Metadata is printable ASCII; a request id of others is left out."""
        forwarded = {n.lower(): v for n, v in FORWARDED.get().items() if is_metadata(v)}
        return tuple({**self._metadata, **forwarded, **tenant_header(), **carrier()}.items())

    def _failure(self, error: grpc.RpcError) -> HEMError:
        return grpc_failure(error, self._url, self._redaction, self._refused)

    async def close(self) -> None:
        await self._upstream.close()
        await self._channel.close()
        self._egress.close()


def is_metadata(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _types(described: Any) -> dict[str, TensorType]:
    return {t.name: TensorType(t.name, t.datatype, tuple(t.shape)) for t in described}


def _channel(model: V2Model, limits: Limits) -> grpc.aio.Channel:
    """Connects when first asked, and again at once when a probe of the breaker asks."""
    url = urlsplit(model.url)
    if url.path:
        raise ConfigurationError(f"--url {model.url!r}: gRPC has no path behind the port")
    connect = max(1, round(limits.connect_timeout * 1000))
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", limits.max_answer_bytes),
        ("grpc.enable_retries", 0),
        *_proxy_options(model),
        ("grpc.min_reconnect_backoff_ms", connect),  # also bounds one attempt to connect
        ("grpc.initial_reconnect_backoff_ms", min(100, connect)),
        ("grpc.max_reconnect_backoff_ms", connect),
        # As seldom as servers allow. It also makes the kernel close, after 20 s, a connection to a
        # node that is gone; else calls would go into it for a quarter of an hour.
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    plain = url.scheme in ("http", "grpc")
    address = url.netloc if url.port else f"{url.netloc}:{80 if plain else 443}"
    if plain:
        return grpc.aio.insecure_channel(address, options)
    return grpc.aio.secure_channel(address, _credentials(model), options)


def _proxy_options(model: V2Model) -> list[tuple[str, str | int]]:
    """gRPC itself would read the environment, in lower case alone, for near hosts too."""
    if model.proxy:
        proxy: httpx.Proxy | None = as_proxy(model.proxy, "--proxy")
    else:
        proxies = environment()
        proxy = environment_proxy(model.url, proxies) if proxies else None
    if proxy is None:
        return [("grpc.enable_http_proxy", 0)]
    if proxy.url.scheme != "http":
        raise ConfigurationError("--transport grpc goes through proxies of http:// only")
    user = [quote(part, safe="") for part in proxy.auth or ()]
    netloc = proxy.url.netloc.decode()
    return [("grpc.http_proxy", f"http://{':'.join(user)}{'@' if user else ''}{netloc}")]


def _credentials(model: V2Model) -> grpc.ChannelCredentials:
    """gRPC reads the files itself, but does not say which one is wrong."""
    tls_context(model.ca_bundle, model.client_cert, model.client_key)
    files = (model.ca_bundle, model.client_key, model.client_cert)
    return grpc.ssl_channel_credentials(*(Path(f).read_bytes() if f else None for f in files))


def infer_request(message: Any, request: TensorRequest) -> Any:
    """`message`, filled: a ModelInferRequest of whatever package generated it."""
    for name, value in grpc_scalars(request.parameters).items():
        _set_parameter(message.parameters[name], value)
    for name, tensor in request.inputs.items():
        message.inputs.add(name=name, datatype=tensor.datatype, shape=tensor.values.shape)
        message.raw_input_contents.append(_raw(tensor))
    for name in request.outputs:
        message.outputs.add(name=name)
    return message


def _set_parameter(parameter: v2.InferParameter, value: Scalar) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int):
        parameter.int64_param = value
    else:
        parameter.string_param = str(value)


def _raw(tensor: Tensor) -> bytes:
    if tensor.datatype == BYTES:
        elements = tensor.values.ravel().tolist()
        return b"".join(len(item).to_bytes(4, "little") + item for item in elements)
    return tensor.values.astype(tensor.values.dtype.newbyteorder("<"), copy=False).tobytes()
