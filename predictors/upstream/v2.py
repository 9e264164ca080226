"""One V2 model of another server: text, tensors, metadata and readiness. V2 JSON over REST is here,
gRPC in v2_grpc; a new transport is one file and one line in TRANSPORTS."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from predictors.contract import CACHED, SERVED_BY
from predictors.contract.tensors import (
    FP16,
    Tensor,
    TensorRequest,
    TensorResponse,
    TensorType,
    parse_tensor,
    tensor_json,
)
from predictors.errors import HEMError, InvalidRequest, UpstreamError
from predictors.registry import Registry
from predictors.upstream.attempt import unread
from predictors.upstream.client import build_client, tls_context
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class V2Model:
    """Where a model is. `url` is http(s)://host[:port] for both transports, `version` the server's
    choice if empty; `headers` hold secrets. Files are PEM; `client_key` is that of `client_cert`.
    """

    url: str
    name: str
    version: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str = ""
    client_cert: str = ""
    client_key: str = ""
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class V2Metadata:
    """A model's tensors by name, as the server describes them."""

    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]


class V2Client(ABC):
    """Built on the running event loop. Each call is bounded, tried again and broken by Upstream.

    Raises InvalidRequest where the server says that the caller is at fault, UpstreamError or
    Overloaded.
    """

    @abstractmethod
    def __init__(self, model: V2Model, limits: Limits) -> None:
        """Connects later. Raises ConfigurationError."""

    @abstractmethod
    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the V2 JSON response to a V2 JSON request with `text_input`.

        `read` raises ValueError where the response breaks V2.
        """

    @abstractmethod
    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        """The same for tensors of any type."""

    @abstractmethod
    async def metadata(self) -> V2Metadata: ...

    async def ready(self) -> bool:
        """One look, outside of the limits of calls. Raises UpstreamError where nobody answers."""
        try:
            return await self._ready()
        except HEMError as error:
            if isinstance(error, UpstreamError) and error.answered is None:
                raise
            return False

    @abstractmethod
    async def _ready(self) -> bool:
        """May raise for an answer that says no."""

    @abstractmethod
    async def close(self) -> None:
        """Closes the connections."""


class RESTClient(V2Client):
    def __init__(self, model: V2Model, limits: Limits) -> None:
        version = f"/versions/{model.version}" if model.version else ""
        self._path = f"/v2/models/{model.name}{version}"
        files = (model.ca_bundle, model.client_cert, model.client_key)
        client = build_client(
            limits.httpx_timeout(),
            verify=tls_context(*files) if any(files) else "",
            proxy=model.proxy,
        )
        self._http = HTTPUpstream(model.url, limits, client, headers=model.headers)

    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        return await self._http.post(f"{self._path}/infer", request, read)

    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        return await self._http.post(f"{self._path}/infer", _json_request(request), _tensors)

    async def metadata(self) -> V2Metadata:
        return await self._http.get(
            self._path, lambda found: V2Metadata(_types(found["inputs"]), _types(found["outputs"]))
        )

    async def _ready(self) -> bool:
        await self._http.once("GET", f"{self._path}/ready", unread)
        return True

    async def close(self) -> None:
        await self._http.close()


def _types(described: Sequence[dict[str, Any]]) -> dict[str, TensorType]:
    return {t["name"]: TensorType(t["name"], t["datatype"], tuple(t["shape"])) for t in described}


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
    body: dict[str, Any] = {"inputs": inputs, "parameters": dict(request.parameters)}
    if request.outputs:
        body["outputs"] = [{"name": name} for name in request.outputs]
    return body


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
        raise ValueError(
            "not a V2 response: an output lacks its name, type, shape or data"
        ) from None


def tensor_response(
    outputs: Mapping[str, Tensor], parameters: Mapping[str, Any], model_name: str
) -> TensorResponse:
    served_by = parameters.get(SERVED_BY) or model_name
    return TensorResponse(outputs, str(served_by), parameters.get(CACHED) is True)


TRANSPORTS: Final[Registry[V2Client]] = Registry(
    "transport",
    {
        "grpc": "predictors.upstream.v2_grpc:GRPCClient",
        "rest": "predictors.upstream.v2:RESTClient",
    },
)
