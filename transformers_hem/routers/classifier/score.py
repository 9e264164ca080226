"""Mines the query by a sequence classifier: any encoder, or a causal model with such a head.

On disk: an encoder router's files.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from transformers_hem.algorithms.base import AlgorithmParameters, Scores
from transformers_hem.routers.classifier.heads import find_head
from transformers_hem.routers.directory import locate
from transformers_hem.routers.encoder.directory import EncoderDirectory
from transformers_hem.routers.encoder.network import Output, OutputKind
from transformers_hem.routers.encoder.router import (
    ENCODER,
    EncoderConfig,
    EncoderParameters,
    EncoderRouter,
    read_encoder_config,
)


class ClassifierConfig(EncoderConfig):
    """`hard_label` as the parameter of BERTRouter."""

    algorithm: Literal["BERTRouter", "LLMRouter"]
    hard_label: str


class BERTParameters(EncoderParameters):
    """`model`, instead of a router: a directory or hub id of a sequence classifier. `hard_label`:
    index or name of its label that means hard, or `difference` for two heads, P(edge right) and
    P(cloud right). `max_tokens`: a longer query is cut; by default at the model's own limit. `task`
    is Sedna's, and can't be another; `max_length`, which cut characters there, is `max_tokens`."""

    aliases: ClassVar[Mapping[str, str]] = {"max_length": "max_tokens"}
    model: str | None = None
    hard_label: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    task: Literal["text-classification"] = "text-classification"

    @model_validator(mode="after")
    def _one_source(self) -> "BERTParameters":
        if (self.router is None) == (self.model is None):
            raise ValueError("set one of router (from `hem train`) and model (a classifier)")
        if self.router is not None and (self.hard_label or self.max_tokens):
            raise ValueError("hard_label and max_tokens are for model; a router brings its own")
        return self


class BERTRouter(EncoderRouter):
    """score = the probability of the label that means hard, or the `expected_difference` of two
    heads (see `Head`), made a probability where the router brings a map.

    Queries are scored in the order that they came, in a thread of the router's own.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = BERTParameters
    output: ClassVar[OutputKind] = "logits"
    name: ClassVar[str] = "BERTRouter"

    def __init__(self, parameters: BERTParameters) -> None:
        model, hard_label = parameters.model, parameters.hard_label
        max_tokens = parameters.max_tokens
        if parameters.router is not None:
            path = locate(parameters.router)
            config = self._config = read_encoder_config(path, ClassifierConfig, self.name)
            model = str(path / ENCODER)
            hard_label, max_tokens = config.hard_label, config.max_tokens
        assert model is not None
        directory = EncoderDirectory.open(model, max_tokens)
        self._head = find_head(directory.labels, hard_label, model)
        self.open_encoder(directory, parameters)

    def difficulty(self, outputs: list[Output]) -> Scores:
        return self._head.difficulty(np.stack(outputs))


class LLMRouter(BERTRouter):
    """The same of a small causal language model with a classification head (TinyLlama, Qwen2):
    its head reads the last token, which has seen the whole query."""

    name: ClassVar[str] = "LLMRouter"
