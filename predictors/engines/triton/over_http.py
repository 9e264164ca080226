"""Triton over HTTP, tensors in binary."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

import aiohttp
from tritonclient.http import InferInput, InferRequestedOutput, InferResult
from tritonclient.http.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from predictors.contract import Scalar
from predictors.contract.tensors import Tensor, TensorType
from predictors.engines.triton.client import Described, Tensors, TritonClient, tensor
from predictors.engines.triton.failures import failure
from predictors.engines.triton.settings import TritonSettings
from predictors.errors import Cause, UpstreamError
from predictors.upstream.attempt import reading
from predictors.upstream.client import FORWARDED, PatientConnector

ERRORS: Final = (InferenceServerException, aiohttp.ClientError, TimeoutError)


class BoundedClient(InferenceServerClient):
    """tritonclient's own has one time limit for connecting and answering together, and reads an
    answer of any length."""

    _stub: aiohttp.ClientSession

    def __init__(self, settings: TritonSettings) -> None:
        context = settings.tls() or True
        super().__init__(settings.address, ssl=settings.secure, ssl_context=context)
        self._stub.detach()
        self._conn = PatientConnector(limit=0, ssl=context)
        self._stub = aiohttp.ClientSession(
            connector=self._conn,
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout, sock_connect=settings.connect_timeout
            ),
            headers={"accept-encoding": "identity"},
            auto_decompress=False,
            response_class=_bounded(settings.location, settings.max_answer_bytes),
        )


def _bounded(where: str, limit: int) -> type[aiohttp.ClientResponse]:
    class BoundedResponse(aiohttp.ClientResponse):
        """Its `read` raises UpstreamError beyond the limit, and for a packed body: none was asked
        for, and tritonclient would unpack it to any length."""

        async def read(self) -> bytes:
            if self._body is None:
                self._body = await self._bounded()
            return self._body

        async def _bounded(self) -> bytes:
            try:
                if "content-encoding" in self.headers:
                    coding = self.headers["content-encoding"]
                    raise UpstreamError(f"{where} answered in the coding {coding!r:.80}")
                parts, left = [], limit
                async for part in self.content.iter_any():
                    parts.append(part)
                    left -= len(part)
                    if left < 0:
                        text = f"{where} answered more than {limit} bytes (max_answer_bytes)"
                        raise UpstreamError(text)
                return b"".join(parts)
            except BaseException:
                self.close()
                raise

    return BoundedResponse


class HttpClient(TritonClient):
    """As many connections as calls at once; Upstream bounds those."""

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        self._client = BoundedClient(settings)

    async def ready(self) -> bool:
        try:
            return bool(await self._client.is_model_ready(self._model, self._version))
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None

    async def describe(self) -> Described:
        try:
            with reading(self._where, passing=ERRORS):
                metadata, config = await asyncio.gather(
                    self._client.get_model_metadata(self._model, self._version),
                    self._client.get_model_config(self._model, self._version),
                )
                return _described(self._model, metadata, config)
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None

    async def infer(
        self, inputs: Tensors, parameters: Mapping[str, Scalar], outputs: Sequence[str] = ()
    ) -> Tensors:
        try:
            encoded = _encoded(inputs)
            with reading(self._where, passing=ERRORS):
                result = await self._client.infer(
                    self._model,
                    encoded,
                    self._version,
                    outputs=[InferRequestedOutput(name) for name in outputs] or None,
                    parameters=dict(parameters),
                    headers=dict(FORWARDED.get()),
                )
                return _decoded(result)
        except ERRORS as error:
            raise failure(error, self._where, self._model) from None

    async def stream(
        self, inputs: Tensors, parameters: Mapping[str, Scalar]
    ) -> AsyncGenerator[Tensors, None]:
        raise UpstreamError(
            f"model {self._model!r} of {self._where} is decoupled, which V2 over HTTP can't carry; "
            "set --transport grpc and Triton's gRPC port",
            cause=Cause.REFUSED,
        )
        yield {}  # what makes it a generator

    async def close(self) -> None:
        await self._client.close()


def _described(name: str, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> Described:
    policy = config.get("model_transaction_policy") or {}
    return Described(
        name,
        _types(metadata["inputs"]),
        _types(metadata["outputs"]),
        bool(policy.get("decoupled")),
    )


def _types(described: Sequence[Mapping[str, Any]]) -> dict[str, TensorType]:
    return {t["name"]: TensorType(t["name"], t["datatype"], tuple(t["shape"])) for t in described}


def _encoded(inputs: Tensors) -> list[InferInput]:
    encoded = []
    for name, given in inputs.items():
        item = InferInput(name, list(given.values.shape), given.datatype)
        encoded.append(item.set_data_from_numpy(given.values, binary_data=True))
    return encoded


def _decoded(result: InferResult) -> dict[str, Tensor]:
    return {
        output["name"]: tensor(output["name"], output["datatype"], result.as_numpy(output["name"]))
        for output in result.get_response()["outputs"]
    }
