"""The seam between the predictor and whatever answers: text by text, or tensors by tensors.

An engine of a user's own subclasses TextEngine or TensorEngine, and EngineSettings for its options.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from predictors.contract import Answer, Query
from predictors.contract.tensors import TensorRequest, TensorResponse, TensorType
from predictors.settings import EngineSettings

__all__ = ["Engine", "EngineSettings", "TensorEngine", "TextEngine"]


class Engine(ABC):
    """What every engine has. One engine serves many callers at once on one event loop.

    It answers text (TextEngine), tensors (TensorEngine), or both; then a request with `text_input`
    is text. It must not block the loop: a model runs in threads or processes of its own.
    """

    Settings: ClassVar[type[EngineSettings]] = EngineSettings

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    @abstractmethod
    async def start(self) -> None:
        """Loads the model, and returns once the engine can answer.

        Raises ConfigurationError that names what is wrong (directory, file, URL, option).
        """

    async def healthy(self) -> bool:
        """Whether a started engine can still answer; False takes the predictor out of service."""
        return True

    def cause_of_death(self) -> str | None:
        """Why a started engine can never answer again, in one line; None where it still may.

        Called once a second, so it only looks. The process then ends, and its supervisor starts it
        again. A remote server that is down is not a death, as it may come back (see `healthy`).
        """
        return None

    async def close(self) -> None:
        """Releases threads, connections and memory. Called once, also after a failed start and
        after the engine's death."""
        return None


class TextEngine(Engine):
    """Generates answers to queries."""

    @abstractmethod
    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        """Answers row by row, in order.

        It is cancelled when the caller is gone; the engine then frees what the queries held. Raises
        HEMError: InvalidRequest for what this model can't take, EngineError or UpstreamError.
        """


class TensorEngine(Engine):
    """Maps tensors to tensors: classifiers, detectors, and servers of any model."""

    @abstractmethod
    async def infer(self, request: TensorRequest) -> TensorResponse:
        """Answers one request. It is cancelled when the caller is gone.

        Raises HEMError: InvalidRequest where an input is missing or has the wrong type or shape,
        EngineError or UpstreamError.
        """

    def inputs(self) -> list[TensorType]:
        """What a started model takes, for the V2 metadata; empty where it isn't known."""
        return []

    def outputs(self) -> list[TensorType]:
        """What a started model gives, for the V2 metadata; empty where it isn't known."""
        return []
