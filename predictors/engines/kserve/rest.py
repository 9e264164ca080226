"""V2 JSON over REST."""

from collections.abc import Callable
from typing import Any, TypeVar

from predictors.contract.tensors import (
    FP16,
    TensorRequest,
    TensorResponse,
    parse_tensor,
    tensor_json,
)
from predictors.engines.kserve.link import Link
from predictors.engines.kserve.response import tensor_response
from predictors.engines.kserve.settings import KServeSettings
from predictors.errors import InvalidRequest
from predictors.upstream.http import HTTPUpstream

T = TypeVar("T")


class RESTLink(Link):
    def __init__(self, settings: KServeSettings) -> None:
        self._path = f"/v2/models/{settings.upstream_model}/infer"
        self._http = HTTPUpstream(settings.url, settings, headers=settings.headers())

    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        return await self._http.post(self._path, request, read)

    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        return await self._http.post(self._path, _json_request(request), _tensors)

    async def close(self) -> None:
        await self._http.close()


def _json_request(request: TensorRequest) -> dict[str, Any]:
    for name, tensor in request.inputs.items():
        if tensor.datatype == FP16:
            raise InvalidRequest(f"{name!r} is FP16, which V2 JSON can't carry; --transport grpc")
    try:
        inputs = [tensor_json(name, tensor) for name, tensor in request.inputs.items()]
    except ValueError:
        raise InvalidRequest(
            "an input is not UTF-8, which V2 JSON can't carry; --transport grpc"
        ) from None
    found: dict[str, Any] = {"inputs": inputs, "parameters": dict(request.parameters)}
    if request.outputs:
        found["outputs"] = [{"name": name} for name in request.outputs]
    return found


def _tensors(response: Any) -> TensorResponse:
    """Raises ValueError where it breaks V2."""
    try:
        outputs = {
            output["name"]: parse_tensor(
                output["name"], output["datatype"], output["shape"], output["data"]
            )
            for output in response["outputs"]
        }
        return tensor_response(outputs, response.get("parameters") or {}, response["model_name"])
    except (KeyError, TypeError, AttributeError):
        raise ValueError("no V2 response: an output lacks its name, type, shape or data") from None
    except InvalidRequest as error:
        raise ValueError(f"no V2 response: {error}") from None
