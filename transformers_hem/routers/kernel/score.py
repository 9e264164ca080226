"""Mines the query by kernel logistic regression on the middle layers of an encoder."""

from typing import ClassVar

import numpy as np

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.classifier.score import EncoderParameters
from transformers_hem.routers.directory import locate
from transformers_hem.routers.encoder.config import (
    ENCODER,
    KERNEL_FILE,
    KernelConfig,
    read_encoder_config,
)
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.network import open_network
from transformers_hem.routers.encoder.runner import FairRunner
from transformers_hem.routers.encoder.tokens import QueryTokens
from transformers_hem.routers.kernel.machine import Kernel


class KernelParameters(EncoderParameters):
    """`router`: a directory that `hem train` wrote, or `embedded:best`."""

    router: str = "embedded:best"


class KernelRouter(TrainedRouter):
    """score = (1 + P(cloud right) - P(edge right)) / 2, each from how alike an encoder's middle
    layers see the query and training queries (see `encoders.kernel`), made a probability.

    Queries are scored in the order that they came, in a thread of the router's own.
    """

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = KernelParameters

    def __init__(self, parameters: KernelParameters) -> None:
        path = locate(parameters.router)
        config = self._config = read_encoder_config(path, KernelConfig, "KernelRouter")
        self._kernel = Kernel.load(path / KERNEL_FILE)
        directory = EncoderDirectory.open(str(path / ENCODER), config.max_tokens)
        network = open_network(
            directory, parameters.backend, output="layers", threads=parameters.threads
        )
        self._runner = FairRunner(QueryTokens(directory), network)

    def blocks(self, batch: Batch) -> bool:
        return True

    def raw(self, batch: Batch) -> Scores:
        return self._kernel.difficulty(np.stack(self._runner.run(batch.texts)))
