"""What the engine asks of a Triton, whichever transport carries it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from predictors.contract import Scalar
from predictors.contract.tensors import (
    DTYPES,
    Tensor,
    TensorType,
)
from predictors.engines.triton.settings import TritonSettings
from predictors.errors import UpstreamError

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Described:
    """A model as its metadata and configuration have it; shapes include the batch dimension.

    A decoupled model gives any number of responses to one request.
    """

    name: str
    inputs: Mapping[str, TensorType]
    outputs: Mapping[str, TensorType]
    decoupled: bool = False

    def __str__(self) -> str:
        return f"model {self.name!r} takes {_shown(self.inputs)} and gives {_shown(self.outputs)}"


class TritonClient(ABC):
    """One model of one Triton, over one shared connection. Failures are HEMErrors."""

    def __init__(self, settings: TritonSettings) -> None:
        """Raises ConfigurationError for TLS files that can't be used. Connects later."""
        self._where = settings.location
        self._model = settings.upstream_model
        self._version = settings.model_version

    @abstractmethod
    async def ready(self) -> bool:
        """Whether the model is ready. Raises UpstreamError where Triton can't be asked."""

    @abstractmethod
    async def describe(self) -> Described:
        """Raises UpstreamUnavailable where Triton has no such model."""

    @abstractmethod
    async def infer(
        self, inputs: Tensors, parameters: Mapping[str, Scalar], outputs: Sequence[str] = ()
    ) -> Tensors:
        """One request, one response; `outputs` names those that are wanted, all if empty."""

    @abstractmethod
    def stream(
        self, inputs: Tensors, parameters: Mapping[str, Scalar]
    ) -> AsyncGenerator[Tensors, None]:
        """One request, the responses as they come. Closing the generator cancels the request.

        Raises UpstreamError where the transport can't stream.
        """

    @abstractmethod
    async def close(self) -> None: ...


def tensor(name: str, datatype: str, values: NDArray[Any] | None) -> Tensor:
    """An output as tritonclient decodes it. Raises UpstreamError for what V2 tensors can't be."""
    if datatype not in DTYPES:
        raise UpstreamError(f"output {name!r} is {datatype}, which a V2 response can't carry")
    if values is None:
        raise UpstreamError(f"output {name!r} has no data")
    return Tensor(datatype, values)


def _shown(types: Mapping[str, TensorType]) -> str:
    return ", ".join(f"{t.name} {t.datatype} {list(t.shape)}" for t in types.values()) or "nothing"
