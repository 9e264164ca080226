"""A model in Triton: the V2 clients of predictors.upstream with what Triton adds to V2.

That is a model's configuration, streams of responses (gRPC only), and the meaning of its errors.
"""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import descriptor_pool

from predictors.contract.tensors import Tensor, TensorRequest, TensorResponse, TensorType
from predictors.errors import Cause, HEMError, InvalidRequest, UpstreamError
from predictors.upstream.arrival import ARRIVAL
from predictors.upstream.attempt import Refusal, reading
from predictors.upstream.v2_grpc import GRPCClient, infer_request
from predictors.upstream.v2_grpc_response import infer_response
from predictors.upstream.v2_rest import RESTClient

T = TypeVar("T")
Tensors = Mapping[str, Tensor]
ReadStream = Callable[[AsyncIterator[TensorResponse]], Awaitable[T]]

UNKNOWN_MODEL: Final = "unknown model"
NO_REQUEST_ID: Final = "[request id: <id_unknown>] "
# vLLM's words for a prompt that it can't take; Triton passes them on as an error of its own.
TOO_LONG: Final = ("maximum model length", "maximum context length")
NOT_IN_JSON: Final = "via JSON is not supported"
# Errors within a stream then come with their status, not as text alone; older Tritons ignore it.
STREAM_STATUS: Final = ("triton_grpc_error", "true")


def in_own_pool(module: str) -> Any:
    """A module of tritonclient.grpc, importable beside kserve.

    Both packages generate Python from protobuf's package `inference`, and a pool of descriptors
    takes each name once: whichever is imported second fails with `duplicate symbol`
    (kserve/kserve#3099). So tritonclient's go into a pool of their own. On the wire both are the
    same.
    """
    own, default = descriptor_pool.DescriptorPool(), descriptor_pool.Default
    descriptor_pool.Default = lambda: own
    try:
        return importlib.import_module(module)
    finally:
        descriptor_pool.Default = default


messages: Final = in_own_pool("tritonclient.grpc.service_pb2")
stubs: Final = in_own_pool("tritonclient.grpc.service_pb2_grpc")


@dataclass(frozen=True, slots=True)
class TritonModel:
    """A model as its metadata and configuration describe it; shapes include the batch dimension.

    A decoupled model gives any number of responses to one request.
    """

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    decoupled: bool = False

    def __str__(self) -> str:
        return f"model {self.name!r} takes {_shown(self.inputs)} and gives {_shown(self.outputs)}"


class TritonGRPC(GRPCClient):
    """One HTTP/2 connection for all calls."""

    @cached_property
    def _triton(self) -> Any:
        return stubs.GRPCInferenceServiceStub(self._channel)

    async def decoupled(self) -> bool:
        return await self._upstream.call(
            lambda: self._attempt(
                self._triton.ModelConfig,
                messages.ModelConfigRequest(**self._model),
                lambda answer: bool(answer.config.model_transaction_policy.decoupled),
            )
        )

    async def stream(self, request: TensorRequest, read: ReadStream[T]) -> T:
        """What `read` makes of the responses, as they come. Cancelling this cancels the request in
        Triton."""
        message = infer_request(messages.ModelInferRequest(**self._asked), request)

        async def attempt() -> T:
            sent = (*self._sent(), STREAM_STATUS)
            responses = self._triton.ModelStreamInfer(iter([message]), metadata=sent)
            try:
                with reading(self._url, passing=(grpc.RpcError,)):
                    return await read(_each(responses))
            except grpc.RpcError as error:
                raise self._failure(error) from None
            finally:
                responses.cancel()

        return await self._upstream.call(attempt, streams=True)

    def _failure(self, error: grpc.RpcError) -> HEMError:
        """Triton says UNAVAILABLE of a model that it knows but has not loaded; gRPC says it of a
        server that can't be reached."""
        reason = self._redaction.reason(error.details() or "")
        if UNKNOWN_MODEL in reason:
            return self._refused(Refusal(self._url, 404, reason))
        return super()._failure(error)


class TritonREST(RESTClient):
    """Tensors in JSON, over as many connections as there are calls at once."""

    async def decoupled(self) -> bool:
        return await self._http.get(
            f"{self._path}/config",
            lambda answer: bool((answer.get("model_transaction_policy") or {}).get("decoupled")),
        )

    async def stream(self, request: TensorRequest, read: ReadStream[T]) -> T:
        raise UpstreamError(
            f"{self._http.url}{self._path} is decoupled, which V2 over HTTP can't carry; "
            "set --transport grpc and Triton's gRPC port",
            Cause.REFUSED,
        )


def refused(refusal: Refusal, model: str) -> HEMError:
    """The error of an answer that is not OK, where Triton means something else by it than other
    servers; `model` is the name of the model that was asked."""
    reason = refusal.reason.removeprefix(NO_REQUEST_ID)
    if refusal.status == 404 or UNKNOWN_MODEL in reason:
        text = f"{refusal.where} has no model {model!r} that is ready: {reason}"
        return UpstreamError(text, Cause.REFUSED, status=503, answered=refusal.status)
    if any(sign in reason for sign in TOO_LONG):
        return InvalidRequest(reason)
    if NOT_IN_JSON in reason:
        return InvalidRequest(f"{reason} (--transport grpc carries it)")
    if refusal.status == 500:
        # A model that fails on a query is alive: five such queries must not shut out everybody.
        text = f"{refusal.where}, model {model!r}: {reason}"
        return UpstreamError(text, Cause.UNUSABLE, down=False, answered=refusal.status)
    return replace(refusal, reason=reason).relayed()


async def _each(responses: Any) -> AsyncIterator[TensorResponse]:
    async for message in responses:
        if message.error_message:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNKNOWN, nothing, nothing, message.error_message
            )
        if (arrival := ARRIVAL.get()) is not None:
            arrival.item()
        yield infer_response(message.infer_response)


def _shown(types: Mapping[str, TensorType]) -> str:
    return ", ".join(f"{t.name} {t.datatype} {list(t.shape)}" for t in types.values()) or "nothing"
