"""Triton over gRPC: one HTTP/2 connection for all calls."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Final

import grpc
from tritonclient.utils import InferenceServerException

from predictors.contract import Scalar
from predictors.contract.tensors import Tensor, TensorType
from predictors.engines.triton.client import Described, Tensors, TritonClient, tensor
from predictors.engines.triton.failures import failure
from predictors.engines.triton.library import (
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
    InferResult,
)
from predictors.engines.triton.settings import TritonSettings
from predictors.upstream.attempt import reading
from predictors.upstream.client import FORWARDED

# Errors within a stream then come with their status, not as text alone; older Tritons ignore it.
STREAM_STATUS: Final = {"triton_grpc_error": "true"}
ERRORS: Final = (InferenceServerException, grpc.RpcError)


class GrpcClient(TritonClient):
    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        settings.tls()  # gRPC reads the files itself, but says nothing of a bad one
        self._client = InferenceServerClient(
            settings.address,
            ssl=settings.secure,
            root_certificates=settings.ca_bundle or None,
            private_key=settings.client_key or None,
            certificate_chain=settings.client_cert or None,
            channel_args=_channel_options(settings),
        )

    async def ready(self) -> bool:
        try:
            return bool(await self._client.is_model_ready(self._model, self._version))
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None

    async def describe(self) -> Described:
        try:
            metadata, answer = await asyncio.gather(
                self._client.get_model_metadata(self._model, self._version),
                self._client.get_model_config(self._model, self._version),
            )
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None
        return Described(
            self._model,
            _types(metadata.inputs),
            _types(metadata.outputs),
            answer.config.model_transaction_policy.decoupled,
        )

    async def infer(
        self, inputs: Tensors, parameters: Mapping[str, Scalar], outputs: Sequence[str] = ()
    ) -> Tensors:
        try:
            result = await self._client.infer(
                self._model,
                _encoded(inputs),
                self._version,
                outputs=[InferRequestedOutput(name) for name in outputs] or None,
                parameters=dict(parameters),
                headers=_traced(),
            )
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None
        return self._read(result)

    async def stream(
        self, inputs: Tensors, parameters: Mapping[str, Scalar]
    ) -> AsyncGenerator[Tensors, None]:
        async def one_request() -> AsyncIterator[dict[str, Any]]:
            yield {
                "model_name": self._model,
                "model_version": self._version,
                "inputs": _encoded(inputs),
                "parameters": dict(parameters),
            }

        responses = self._client.stream_infer(one_request(), headers=_traced() | STREAM_STATUS)
        try:
            async for result, error in responses:
                if error is not None:
                    raise error
                yield self._read(result)
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None
        finally:
            responses.cancel()

    async def close(self) -> None:
        await self._client.close()

    def _read(self, result: InferResult) -> Tensors:
        with reading(self._where):
            return _decoded(result)


def _channel_options(settings: TritonSettings) -> list[tuple[str, int]]:
    """`min_reconnect_backoff_ms` is what gRPC takes as the time limit of connecting. It also
    waits up to two minutes before it tries again; a Triton that is back should be seen at once."""
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", settings.max_answer_bytes),
        ("grpc.min_reconnect_backoff_ms", round(settings.connect_timeout * 1000)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


def _traced() -> dict[str, str]:
    return {name.lower(): value for name, value in FORWARDED.get().items()}


def _types(described: Any) -> dict[str, TensorType]:
    return {t.name: TensorType(t.name, t.datatype, tuple(t.shape)) for t in described}


def _encoded(inputs: Tensors) -> list[InferInput]:
    encoded = []
    for name, given in inputs.items():
        item = InferInput(name, list(given.values.shape), given.datatype)
        encoded.append(item.set_data_from_numpy(given.values))
    return encoded


def _decoded(result: InferResult) -> dict[str, Tensor]:
    return {
        output.name: tensor(output.name, output.datatype, result.as_numpy(output.name))
        for output in result.get_response().outputs
    }
