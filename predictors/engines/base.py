"""The seam between the predictor and whatever generates."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from predictors.protocol import Answer, Query


class EngineSettings(BaseSettings):
    """Options of one engine: from `--field` of `python -m predictors`, else `PREDICTOR_FIELD`.

    A subclass adds its fields with `Field(description=...)`; the description is the `--help`.
    """

    model_config = SettingsConfigDict(
        env_prefix="PREDICTOR_",
        frozen=True,
        extra="ignore",
        protected_namespaces=(),
        env_ignore_empty=True,
    )


class Engine(ABC):
    """Generates answers. One engine serves many callers at once on one event loop.

    `generate` must not block the loop: a model runs in threads or processes of its own.
    """

    Settings: ClassVar[type[EngineSettings]] = EngineSettings

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    @abstractmethod
    async def start(self) -> None:
        """Loads, and returns once it can answer.

        Raises ConfigurationError that names what is wrong (directory, file, URL, option).
        """

    @abstractmethod
    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        """Answers row by row, in order.

        Cancelled when the caller is gone; the engine then frees what the queries held. Raises
        HEMError: InvalidRequest for what this model can't take, EngineError or UpstreamError.
        """

    async def healthy(self) -> bool:
        """Whether a started engine can still answer; False takes the predictor out of service."""
        return True

    async def close(self) -> None:
        """Releases threads, connections and memory. Called once, also after a failed start."""
        return None
