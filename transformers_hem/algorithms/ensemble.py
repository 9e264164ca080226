"""Mines the query by an encoder and a linear model together: each knows what the other misses."""

from typing import ClassVar

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Scores, Stage
from transformers_hem.algorithms.bert import BERTParameters, BERTRouter, EncoderParameters
from transformers_hem.algorithms.linear import LinearParameters, LinearRouter
from transformers_hem.algorithms.trained import TrainedRouter
from transformers_hem.encoder_router import BERT, LINEAR, EnsembleConfig, read_encoder_config
from transformers_hem.router_directory import locate


class EnsembleParameters(EncoderParameters):
    """`router` is required: it holds both members."""

    router: str


class EnsembleRouter(TrainedRouter):
    """score = weighted mean of the raw difficulties of a BERTRouter and a LinearRouter, made a
    probability.

    Queries are scored in the order that they came.
    """

    stage: ClassVar[Stage] = "query"
    Parameters: ClassVar[type[AlgorithmParameters]] = EnsembleParameters

    def __init__(self, parameters: EnsembleParameters) -> None:
        path = locate(parameters.router)
        config = self._config = read_encoder_config(path, EnsembleConfig, "EnsembleRouter")
        self._blend = config.blend
        self._linear = LinearRouter(LinearParameters(router=str(path / LINEAR)))
        self._bert = BERTRouter(
            BERTParameters(
                router=str(path / BERT), backend=parameters.backend, threads=parameters.threads
            )
        )

    def blocks(self, batch: Batch) -> bool:
        return True

    def raw(self, batch: Batch) -> Scores:
        return self._blend(self._linear.raw(batch), self._bert.raw(batch))
