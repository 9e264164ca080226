"""Which output of a model has the classes or the boxes, and scores -> probabilities."""

import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from predictors.contract import (
    BOX_FIELDS,
    BOXES,
    PROBABILITIES,
)
from predictors.engines.classifier.settings import Activation
from predictors.errors import ConfigurationError

LOGITS: Final = "logits"
# How far from 1 the probabilities of a row may add up to; float16 models are that coarse.
SUM_TOLERANCE: Final = 2e-3

logger = logging.getLogger("kserve.hem")


class Head:
    """Names a model's outputs by the contract.

    `activation` auto is settled by the output's name, else by the first answer of finite numbers,
    and then stays.
    """

    def __init__(self, output: str, activation: Activation) -> None:
        self._output = output
        self._activation = activation

    def names(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
        """The model's name -> the contract's, for all outputs; others keep theirs.

        Raises ConfigurationError where no output can be the classes or the boxes.
        """
        chosen = self._output or _obvious(shapes)
        if chosen not in shapes:
            there = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise ConfigurationError(
                f"no output {chosen!r}; the model gives {there}"
                if chosen
                else f"which output has the classes? name it with --output; the model gives {there}"
            )
        meant = BOXES if _is_boxes(shapes[chosen]) else PROBABILITIES
        if meant == PROBABILITIES and len(shapes[chosen]) != 2:
            raise ConfigurationError(
                f"output {chosen!r} is {list(shapes[chosen])}; classes are [N, C], boxes [N, M, 6]"
            )
        return {name: meant if name == chosen else name for name in shapes}

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs under the contract's names, probabilities and boxes as FP32."""
        shapes = {name: values.shape for name, values in outputs.items() if values.shape}
        names = self.names(shapes)  # without single numbers, which have no rows
        named = {meant: outputs[name] for name, meant in names.items()}
        if BOXES in named:
            return {**named, BOXES: named[BOXES].astype(np.float32)}
        (own,) = (name for name, meant in names.items() if meant == PROBABILITIES)
        return {**named, PROBABILITIES: self._probabilities(own, named[PROBABILITIES])}

    def _probabilities(self, name: str, scores: NDArray[Any]) -> NDArray[np.float32]:
        if self._activation == "auto" and scores.size and np.isfinite(scores).all():
            self._activation = _guess(name, scores)
            logger.info("activation of output %r: %s", name, self._activation)
        return activate(scores, self._activation)


@np.errstate(invalid="ignore", over="ignore")
def activate(scores: NDArray[Any], activation: Activation) -> NDArray[np.float32]:
    """FP32 [N, C] of scores [N, C]; NaN where a score is not finite."""
    exact = scores.astype(np.float64)
    if activation == "softmax":
        grown = np.exp(exact - exact.max(axis=1, keepdims=True, initial=-np.inf))
        exact = grown / grown.sum(axis=1, keepdims=True)
    elif activation == "sigmoid":
        exact = 0.5 * (1 + np.tanh(0.5 * exact))
    return exact.astype(np.float32)


def _obvious(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """By its name, else the only one of its rank; "" where neither says."""
    for name in (PROBABILITIES, LOGITS, BOXES):
        if name in shapes:
            return name
    fitting = [name for name, shape in shapes.items() if len(shape) == 2 or _is_boxes(shape)]
    return fitting[0] if len(fitting) == 1 else ""


def _is_boxes(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] == BOX_FIELDS


def _guess(name: str, scores: NDArray[Any]) -> Activation:
    if name == PROBABILITIES:
        return "none"
    if name == LOGITS or (scores < 0).any() or (scores > 1 + SUM_TOLERANCE).any():
        return "softmax"
    if (np.abs(scores.astype(np.float64).sum(axis=1) - 1) < SUM_TOLERANCE).all():
        return "none"
    raise ConfigurationError(
        f"output {name!r} lies in [0, 1] but its rows don't add up to 1: say with --activation "
        "whether they are logits (softmax), or probabilities of several labels (none)"
    )
