"""One V2 model of another server: text, tensors, metadata and readiness, over REST or gRPC.

A new transport is one file and one line in TRANSPORTS.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from predictors.contract import CACHED, SERVED_BY
from predictors.contract.tensors import Tensor, TensorRequest, TensorResponse, TensorType
from predictors.errors import Cause, HEMError, UpstreamError
from predictors.registry import Registry
from predictors.upstream.attempt import Refusal
from predictors.upstream.openai.client import Completions
from predictors.upstream.settings import Limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class V2Model:
    """Where a model is. `url` is http(s)://host[:port] for both transports, or grpc(s)://host:port;
    `version` is the server's choice if empty; `headers` hold secrets. Files are PEM; `client_key`
    is that of `client_cert`.
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
    def __init__(
        self,
        model: V2Model,
        limits: Limits,
        refused: Callable[[Refusal], HEMError] = Refusal.relayed,
    ) -> None:
        """Connects later. `refused` makes the error of an answer that is not 200, over gRPC of a
        code that is not OK. Raises ConfigurationError."""

    @abstractmethod
    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the V2 JSON response to a V2 JSON request with `text_input`.

        `read` raises ValueError where the response breaks V2.
        """

    @abstractmethod
    async def infer(self, request: TensorRequest, read: Callable[[TensorResponse], T]) -> T:
        """The same for tensors of any type."""

    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        return await self.infer(request, lambda response: response)

    @abstractmethod
    async def metadata(self) -> V2Metadata: ...

    def completions(self) -> Mapping[str, Completions]:
        """OpenAI's API of the same server, by path; empty where this transport has none."""
        return {}

    async def ready(self) -> bool:
        """One look, outside of the limits of calls. Raises UpstreamError where nobody answers."""
        try:
            return await self._ready()
        except HEMError as error:
            if isinstance(error, UpstreamError) and error.answered is None:
                raise
            return False

    async def require_ready(self) -> None:
        """One look, as a probe: raises UpstreamError where the model is not ready or the key is
        refused."""
        if not await self._ready():
            raise UpstreamError("the model is not ready", Cause.SERVER_ERROR, answered=503)

    @abstractmethod
    def watch(self) -> None:
        """See Upstream.watch; the cheap request asks whether the model is ready."""

    @abstractmethod
    async def _ready(self) -> bool:
        """May raise for an answer that says no."""

    @abstractmethod
    async def close(self) -> None:
        """Closes the connections."""


TRANSPORTS: Final[Registry[V2Client]] = Registry(
    "transport",
    {
        "grpc": "predictors.upstream.v2_grpc:GRPCClient",
        "rest": "predictors.upstream.v2_rest:RESTClient",
    },
)


def tensor_response(
    outputs: Mapping[str, Tensor], parameters: Mapping[str, Any], model_name: str
) -> TensorResponse:
    served_by = parameters.get(SERVED_BY) or model_name
    return TensorResponse(
        outputs, str(served_by) if served_by else None, parameters.get(CACHED) is True
    )
