"""From a classifier's logits to a difficulty, by the label that means hard.

`routellm/bert` and `routellm/bert_mmlu_augmented` have three labels without names of their own:
LABEL_0 "the strong model wins", LABEL_1 a tie, LABEL_2 "the weak model wins" (RouteLLM's
evaluation: its win rate of the strong model is 1 - p(LABEL_1) - p(LABEL_2)). So LABEL_0 is hard.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, softmax

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Floats
from transformers_hem.routers.encoder.network import Output
from transformers_hem.routers.targets import expected_difference

DIFFERENCE: Final = "difference"
ROUTELLM: Final = ("LABEL_0", "LABEL_1", "LABEL_2")
HARD: Final = "hard"
EDGE_RIGHT, CLOUD_RIGHT = "edge_right", "cloud_right"


@dataclass(frozen=True, slots=True)
class Head:
    """`hard`: index of the label that means hard; None for two heads, P(edge right) and P(cloud
    right), whose `edge` and `cloud` say which is which."""

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
    RouteLLM's LABEL_0, or the only label; another model must say.

    Raises ConfigurationError naming the model's labels.
    """
    if hard_label is None:
        return _default(labels, model)
    if hard_label == DIFFERENCE:
        if len(labels) != 2:
            raise _unfit(labels, model, "difference is for two heads, edge and cloud")
        cloud = labels.index(CLOUD_RIGHT) if CLOUD_RIGHT in labels else 1
        return Head(None, edge=1 - cloud, cloud=cloud)
    if hard_label in labels:
        return Head(labels.index(hard_label))
    if hard_label.isdecimal() and int(hard_label) < len(labels):
        return Head(int(hard_label))
    raise _unfit(labels, model, f"hard_label {hard_label!r} is not one of them")


def _default(labels: tuple[str, ...], model: str) -> Head:
    if labels == ROUTELLM or len(labels) == 1:
        return Head(0)
    if {EDGE_RIGHT, CLOUD_RIGHT} == set(labels):
        return find_head(labels, DIFFERENCE, model)
    named = [index for index, label in enumerate(labels) if label.lower() == HARD]
    if len(named) != 1:
        raise _unfit(labels, model, "set hard_label to the one that means hard, or to difference")
    return Head(named[0])


def _unfit(labels: tuple[str, ...], model: str, fault: str) -> ConfigurationError:
    return ConfigurationError(f"model {model} has labels {', '.join(labels) or 'none'}: {fault}")
