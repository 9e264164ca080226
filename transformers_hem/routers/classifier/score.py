"""Mines the query by a sequence classifier: any encoder, or a causal model with such a head.

On disk: an encoder router's files. `hard_label` names the label that means hard; without it, known
names decide.

`routellm/bert` and `routellm/bert_mmlu_augmented` have three labels without names of their
own: LABEL_0 "the strong model wins", LABEL_1 a tie, LABEL_2 "the weak model wins" (RouteLLM's
evaluation: its win rate of the strong model is 1 - p(LABEL_1) - p(LABEL_2)). So LABEL_0 is hard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.special import expit, softmax

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters, Scores
from transformers_hem.arrays import Floats
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
from transformers_hem.routers.targets import expected_difference

DIFFERENCE: Final = "difference"
ROUTELLM: Final = ("LABEL_0", "LABEL_1", "LABEL_2")
HARD: Final = "hard"
EDGE_RIGHT, CLOUD_RIGHT = "edge_right", "cloud_right"


@dataclass(frozen=True, slots=True)
class Head:
    """`hard`: index of the label that means hard; None for two heads, P(edge right) and P(cloud
    right), at the indices `edge` and `cloud`."""

    hard: int | None
    edge: int = 0
    cloud: int = 1

    def difficulty(self, logits: Output) -> Floats:
        """Float [N] in [0, 1] from [N, C]: the hard label's probability, by softmax, or by sigmoid
        where it is the only output; the `expected_difference` of two heads."""
        values = logits.astype(np.float64)
        if self.hard is None:
            return expected_difference(expit(values[:, self.edge]), expit(values[:, self.cloud]))
        if values.shape[1] == 1:
            return np.asarray(expit(values[:, 0]))
        return np.asarray(softmax(values, axis=1)[:, self.hard])


def find_head(labels: tuple[str, ...], hard_label: str | None, model: str) -> Head:
    """`hard_label`: an index, a name, or `difference`. Without one it is the label called hard,
    RouteLLM's LABEL_0, or the only label; for another model it must be set.

    Raises ConfigurationError naming the model's labels.
    """

    def unfit(fault: str) -> ConfigurationError:
        return ConfigurationError(
            f"model {model} has labels {', '.join(labels) or 'none'}: {fault}"
        )

    if hard_label is None and {EDGE_RIGHT, CLOUD_RIGHT} == set(labels):
        hard_label = DIFFERENCE
    if hard_label is None:
        if labels == ROUTELLM or len(labels) == 1:
            return Head(0)
        named = [index for index, label in enumerate(labels) if label.lower() == HARD]
        if len(named) != 1:
            raise unfit("set hard_label to the one that means hard, or to difference")
        return Head(named[0])
    if hard_label == DIFFERENCE:
        if len(labels) != 2:
            raise unfit("difference is for two heads, edge and cloud")
        cloud = labels.index(CLOUD_RIGHT) if CLOUD_RIGHT in labels else 1
        return Head(None, edge=1 - cloud, cloud=cloud)
    if hard_label in labels:
        return Head(labels.index(hard_label))
    if hard_label.isdecimal() and int(hard_label) < len(labels):
        return Head(int(hard_label))
    raise unfit(f"hard_label {hard_label!r} is not one of them")


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

    Queries are scored in a thread of the router's own, a row of each request in turn.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = BERTParameters
    output: ClassVar[OutputKind] = "logits"
    name: ClassVar[str] = "BERTRouter"

    def __init__(self, parameters: BERTParameters) -> None:
        model, hard_label = parameters.model, parameters.hard_label
        max_tokens = parameters.max_tokens
        if parameters.router is not None:
            path = locate(parameters.router)
            config = self.calibrated = read_encoder_config(path, ClassifierConfig, self.name)
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
