"""The seam between the uplink and the wire. A new transport is one file and one line here."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from predictors.contract.tensors import TensorRequest, TensorResponse
from predictors.engines.kserve.settings import KServeSettings
from predictors.registry import Registry

T = TypeVar("T")


class Link(ABC):
    """Built on the running event loop. Each call is bounded, tried again and broken by Upstream."""

    @abstractmethod
    def __init__(self, settings: KServeSettings) -> None:
        """Raises ConfigurationError."""

    @abstractmethod
    async def infer_text(self, request: dict[str, Any], read: Callable[[Any], T]) -> T:
        """What `read` makes of the V2 JSON response to a V2 JSON request with `text_input`.

        `read` raises ValueError where the response is none. Raises InvalidRequest where the far
        side says so, UpstreamError or Overloaded.
        """

    @abstractmethod
    async def infer_tensors(self, request: TensorRequest) -> TensorResponse:
        """The same for tensors of any type."""

    @abstractmethod
    async def close(self) -> None:
        """Closes the connections."""


LINKS: Registry[Link] = Registry(
    "transport",
    {
        "grpc": "predictors.engines.kserve.grpc:GRPCLink",
        "rest": "predictors.engines.kserve.rest:RESTLink",
    },
)
