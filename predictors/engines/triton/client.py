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
from predictors.errors import (
    Cause,
    ContextTooLong,
    HEMError,
    InvalidRequest,
    Overloaded,
    UpstreamError,
)
from predictors.memory import hold
from predictors.upstream.arrival import ARRIVAL
from predictors.upstream.attempt import Refusal, reading, too_large
from predictors.upstream.ledger.sent import Sent
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
# Asked for, the end of a request's responses is always told, if need be in one without outputs.
EMPTY_FINAL: Final = "triton_enable_empty_final_response"
IS_FINAL: Final = "triton_final_response"
# A parameter of TensorRT-LLM's models, and what that backend takes for yes.
ACCUMULATE: Final = "accumulate_tokens"
YES: Final = frozenset({"true", "yes", "1", "t"})


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
class Transactions:
    """How a model answers, as its configuration says.

    A `decoupled` model gives any number of responses to one request. Where the text `grows` each of
    them has all of it so far, else what is new.
    """

    decoupled: bool = False
    grows: bool = False


@dataclass(frozen=True, slots=True)
class TritonModel:
    """A model as its metadata and configuration describe it; shapes include the batch dimension."""

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    transactions: Transactions = Transactions()

    def __str__(self) -> str:
        return f"model {self.name!r} takes {_shown(self.inputs)} and gives {_shown(self.outputs)}"


class TritonGRPC(GRPCClient):
    """One HTTP/2 connection for all calls."""

    @cached_property
    def _triton(self) -> Any:
        return stubs.GRPCInferenceServiceStub(self._channel)

    async def transactions(self) -> Transactions:
        return await self._upstream.call(
            lambda: self._attempt(
                self._triton.ModelConfig,
                messages.ModelConfigRequest(**self._model),
                lambda answer: Transactions(
                    bool(answer.config.model_transaction_policy.decoupled),
                    answer.config.parameters[ACCUMULATE].string_value.lower() in YES,
                ),
            ),
            computes=False,
        )

    async def stream(self, request: TensorRequest, read: ReadStream[T]) -> T:
        """What `read` makes of the responses, as they come. Cancelling this cancels the request in
        Triton. Not tried again once a response was there.

        Raises as all calls do; a stream that ends without its final response breaks off.
        """
        message = infer_request(messages.ModelInferRequest(**self._asked), request)
        message.parameters[EMPTY_FINAL].bool_param = True

        async def attempt() -> T:
            metadata = (*self._sent(), STREAM_STATUS)
            with self._leaving(message) as sent:
                coming = self._triton.ModelStreamInfer(iter([message]), metadata=metadata)
                responses = _Responses(coming, self._url, self._limits.max_answer_bytes, sent)
                try:
                    with reading(self._url, passing=(grpc.RpcError, Overloaded)):
                        return await read(responses.each())
                except grpc.RpcError as error:
                    sent.status = error.code().name
                    failure = self._failure(error)
                    if isinstance(failure, UpstreamError):
                        failure.retryable = failure.retryable and not responses.begun
                    raise failure from None
                finally:
                    coming.cancel()

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

    async def transactions(self) -> Transactions:
        return await self._http.get(
            f"{self._path}/config",
            lambda answer: Transactions(
                bool((answer.get("model_transaction_policy") or {}).get("decoupled"))
            ),
        )

    async def _ready(self) -> bool:
        """Triton answers 400, without a word, for a model that is not ready."""
        try:
            return await super()._ready()
        except InvalidRequest:
            return False

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
        return ContextTooLong(reason)
    if NOT_IN_JSON in reason:
        return InvalidRequest(f"{reason} (--transport grpc carries it)")
    if refusal.status == 500:
        # A model that fails on a query is alive: five such queries must not shut out everybody.
        text = f"{refusal.where}, model {model!r}: {reason}"
        return UpstreamError(text, Cause.UNUSABLE, down=False, answered=refusal.status)
    return replace(refusal, reason=reason).relayed()


@dataclass(slots=True)
class _Responses:
    """Those of one request; `begun` once the first is there."""

    coming: Any
    where: str
    limit: int
    sent: Sent
    begun: bool = False

    async def each(self) -> AsyncIterator[TensorResponse]:
        """Without those that have no outputs: they say that the model is at work, or has ended.

        Raises RpcError; UpstreamError beyond `limit` bytes, and without a final response.
        """
        left, ended = self.limit, False
        async for message in self.coming:
            if message.error_message:
                nothing = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(
                    grpc.StatusCode.UNKNOWN, nothing, nothing, message.error_message
                )
            self.begun = True
            if (arrival := ARRIVAL.get()) is not None:
                arrival.item()
            size = message.ByteSize()
            self.sent.received += size
            left -= size
            if left < 0:
                raise too_large(self.where, self.limit)
            hold(size)
            response = message.infer_response
            ended = ended or response.parameters[IS_FINAL].bool_param
            if response.outputs:
                yield infer_response(response)
        self.sent.status = grpc.StatusCode.OK.name
        if not ended:
            raise UpstreamError(
                f"{self.where} broke off its answer: it ended without a final response",
                Cause.UNREACHABLE,
                status=502,
                retryable=False,
            )


def _shown(types: Mapping[str, TensorType]) -> str:
    return ", ".join(f"{t.name} {t.datatype} {list(t.shape)}" for t in types.values()) or "nothing"
