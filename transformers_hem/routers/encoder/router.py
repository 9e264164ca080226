"""A router with an encoder. On disk: config.json, and `encoder/` in Hugging Face format."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.routers.base import TrainedConfig, TrainedRouter
from transformers_hem.routers.directory import read_config, read_file
from transformers_hem.routers.encoder.directory import BackendChoice, EncoderDirectory
from transformers_hem.routers.encoder.network import Output, OutputKind
from transformers_hem.routers.encoder.runner import FairRunner, QueryTokens, open_network

ENCODER = "encoder"


class EncoderConfig(TrainedConfig):
    """`max_tokens`: queries are cut to that many. `encoder` names what was trained, and
    `held_out_rows` counts the rows that thresholds and metrics are from. `files` is the sha256 of
    every other file of the directory, by its path there."""

    version: Literal[1] = 1
    max_tokens: int = Field(ge=1)
    encoder: str
    held_out_rows: int
    files: dict[str, str]


Config = TypeVar("Config", bound=EncoderConfig)


def read_encoder_config(directory: Path, kind: type[Config], algorithm: str) -> Config:
    """Raises ConfigurationError where a file is missing, damaged, or of another router."""
    config = read_config(directory, kind, algorithm)
    for name, fingerprint in config.files.items():
        read_file(directory / name, fingerprint)
    return config


class EncoderParameters(AlgorithmParameters):
    """`router`: a directory that `hem train` wrote. `backend`: auto takes onnxruntime where the
    directory has model.onnx. `threads`: for one query; 0 leaves it to the library."""

    router: str | None = None
    backend: BackendChoice = "auto"
    threads: int = Field(default=0, ge=0, le=256)


class EncoderRouter(TrainedRouter):
    """Queries are scored in a thread of the router's own, a row of each request in turn."""

    stage: ClassVar[Stage] = "query"
    output: ClassVar[OutputKind]

    def open_encoder(self, directory: EncoderDirectory, parameters: EncoderParameters) -> None:
        """Loads the model. Raises ConfigurationError."""
        network = open_network(
            directory, parameters.backend, output=self.output, threads=parameters.threads
        )
        self._runner = FairRunner(QueryTokens(directory), network)

    def blocks(self, batch: Batch) -> bool:
        return True

    def raw(self, batch: Batch) -> Scores:
        return self.difficulty(self._runner.run(batch.texts))

    @abstractmethod
    def difficulty(self, outputs: list[Output]) -> Scores:
        """Float [N] in [0, 1], of the N outputs of the model."""
