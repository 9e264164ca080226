"""V2 JSON over REST."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np

from predictors.contract.tensors import (
    FP16,
    Tensor,
    TensorRequest,
    TensorResponse,
    TensorType,
    parse_tensor,
    tensor_json,
)
from predictors.errors import HEMError, InvalidRequest
from predictors.upstream.attempt import Refusal, unread
from predictors.upstream.client import build_client, tls_context
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.bodies import APIS
from predictors.upstream.openai.client import Completions
from predictors.upstream.openai.refusals import told
from predictors.upstream.settings import Limits
from predictors.upstream.v2 import V2Client, V2Metadata, V2Model, tensor_response

T = TypeVar("T")

PREFIX: Final = "/openai/v1"


class RESTClient(V2Client):
    def __init__(
        self,
        model: V2Model,
        limits: Limits,
        refused: Callable[[Refusal], HEMError] = Refusal.relayed,
    ) -> None:
        version = f"/versions/{model.version}" if model.version else ""
        self._path = f"/v2/models/{model.name}{version}"
        files = (model.ca_bundle, model.client_cert, model.client_key)
        client = build_client(
            limits.timeout,
            connect=limits.connect_timeout,
            verify=tls_context(*files) if any(files) else "",
            proxy=model.proxy,
        )
        self._refused = refused
        self._ready_path = f"{self._path}/ready"
        self._http = HTTPUpstream(
            model.url,
            limits,
            client,
            headers=model.headers,
            refused=refused,
            health=self._ready_path,
            tells_tenant=True,
        )

    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        return await self._http.post(f"{self._path}/infer", request, read)

    async def infer(self, request: TensorRequest, read: Callable[[TensorResponse], T]) -> T:
        return await self._http.post(
            f"{self._path}/infer", _json_request(request), lambda answer: read(_tensors(answer))
        )

    def completions(self) -> Mapping[str, Completions]:
        http = self._http.refusing(told(self._refused))
        return {
            api.path: Completions(http, replace(api, path=f"{PREFIX}{api.path}"))
            for api in APIS.values()
        }

    async def metadata(self) -> V2Metadata:
        return await self._http.get(
            self._path,
            lambda answer: V2Metadata(_types(answer["inputs"]), _types(answer["outputs"])),
        )

    def watch(self) -> None:
        self._http.watch(self.require_ready)

    async def _ready(self) -> bool:
        return await self._http.once("GET", self._ready_path, unread)

    async def close(self) -> None:
        await self._http.close()


def _types(described: Sequence[dict[str, Any]]) -> dict[str, TensorType]:
    return {t["name"]: TensorType(t["name"], t["datatype"], tuple(t["shape"])) for t in described}


def _json_request(request: TensorRequest) -> dict[str, Any]:
    for name, tensor in request.inputs.items():
        if tensor.datatype == FP16:
            raise InvalidRequest(f"{name!r} is FP16, which V2 JSON can't carry; --transport grpc")
        if not tensor.is_finite():
            raise InvalidRequest(
                f"{name!r} holds NaN or infinity, which V2 JSON can't carry; --transport grpc"
            )
    try:
        inputs = [tensor_json(name, tensor) for name, tensor in request.inputs.items()]
    except ValueError:
        raise InvalidRequest(
            "an input is not UTF-8, which V2 JSON can't carry; --transport grpc"
        ) from None
    body: dict[str, Any] = {"inputs": inputs, "parameters": dict(request.parameters)}
    if request.outputs:
        body["outputs"] = [{"name": name} for name in request.outputs]
    return body


def _tensors(response: Any) -> TensorResponse:
    """Raises ValueError where it breaks V2."""
    try:
        outputs = {output["name"]: _tensor(output) for output in response["outputs"]}
        parameters = response.get("parameters") or {}
        return tensor_response(outputs, parameters, response.get("model_name") or "")
    except (KeyError, TypeError, AttributeError):
        raise ValueError("not a V2 response: an output lacks its name, type or data") from None


def _tensor(output: dict[str, Any]) -> Tensor:
    """Servers that leave the shape out mean that of the data; null is what JSON has for NaN.

    Raises InvalidRequest, KeyError or TypeError.
    """
    name, datatype, data = output["name"], output["datatype"], output["data"]
    shape = output["shape"] if output.get("shape") is not None else np.shape(data)
    try:
        return parse_tensor(name, datatype, shape, data)
    except InvalidRequest:
        if not datatype.startswith("FP"):
            raise
        return parse_tensor(name, datatype, shape, _with_nan(data))


def _with_nan(data: Any) -> Any:
    if isinstance(data, list):
        return [_with_nan(item) for item in data]
    return math.nan if data is None else data
