"""Mines the query by the nearest labelled queries in an encoder's embedding space."""

from typing import ClassVar

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.routers.base import TrainedRouter
from transformers_hem.routers.classifier.score import EncoderParameters
from transformers_hem.routers.directory import locate
from transformers_hem.routers.encoder.config import (
    ENCODER,
    NEIGHBOURS_FILE,
    NeighbourConfig,
    read_encoder_config,
)
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.network import open_network
from transformers_hem.routers.encoder.runner import FairRunner
from transformers_hem.routers.encoder.tokens import QueryTokens
from transformers_hem.routers.knn.neighbours import Neighbours, embed


class KNNParameters(EncoderParameters):
    """`router` is required: it holds the labelled queries' embeddings."""

    router: str


class KNNRouter(TrainedRouter):
    """score = mean difficulty of the k nearest labelled queries, weighted by their cosine.

    Queries are scored in the order that they came, in a thread of the router's own.
    """

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = KNNParameters

    def __init__(self, parameters: KNNParameters) -> None:
        path = locate(parameters.router)
        config = self._config = read_encoder_config(path, NeighbourConfig, "KNNRouter")
        self._k, self._temperature = config.k, config.temperature
        self._neighbours = Neighbours.load(path / NEIGHBOURS_FILE)
        if len(self._neighbours.targets) < config.k:
            raise ConfigurationError(
                f"{path / NEIGHBOURS_FILE} has {len(self._neighbours.targets)} queries; "
                f"config.json asks for the nearest {config.k}"
            )
        directory = EncoderDirectory.open(str(path / ENCODER), config.max_tokens)
        network = open_network(
            directory, parameters.backend, output="states", threads=parameters.threads
        )
        self._runner = FairRunner(QueryTokens(directory), network)

    def blocks(self, batch: Batch) -> bool:
        return True

    def raw(self, batch: Batch) -> Scores:
        queries = embed(self._runner.run(batch.texts))
        return self._neighbours.difficulty(queries, self._k, self._temperature)
