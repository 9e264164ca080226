"""The edge model's V2 response, as an answer-stage algorithm sees it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictors.contract import (
    BOX_FIELDS,
    BOXES,
    PROBABILITIES,
    TEXT_OUTPUT,
)
from transformers_hem.algorithms.base import Batch, Scores

logger = logging.getLogger("kserve.hem")

Outputs = Mapping[str, Mapping[str, Any]]


def answer_batch(response: Mapping[str, Any], texts: Sequence[str]) -> Batch:
    """N rows with whatever signals there are; a malformed tensor is no signal, never an easy one.

    N is that of `texts`, or of the answers where the request has no text.
    """
    outputs = {
        output["name"]: output
        for output in response["outputs"]
        if isinstance(output, dict) and "name" in output
    }
    size = len(texts) or _rows(outputs)
    return Batch(
        size=size,
        texts=tuple(texts),
        mean_logprob=_tensor(outputs, "mean_logprob", (size,)),
        min_logprob=_tensor(outputs, "min_logprob", (size,)),
        mean_margin=_tensor(outputs, "mean_margin", (size,)),
        probabilities=_tensor(outputs, PROBABILITIES, (size, -1)),
        boxes=_tensor(outputs, BOXES, (size, -1, BOX_FIELDS)),
        answers=answer_texts(response, size),
    )


def answer_texts(response: Mapping[str, Any], size: int) -> tuple[str, ...]:
    """The `size` answers of a V2 response; none where there are not just so many strings."""
    for output in response["outputs"]:
        if isinstance(output, dict) and output.get("name") == TEXT_OUTPUT:
            data = output.get("data")
            if isinstance(data, list) and len(data) == size and all(map(_is_text, data)):
                return tuple(data)
    return ()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _rows(outputs: Outputs) -> int:
    """First dimension of the answers, else of the first output; 1 where none says."""
    for output in (outputs.get(TEXT_OUTPUT, {}), *outputs.values()):
        shape = output.get("shape")
        if isinstance(shape, list) and shape and isinstance(shape[0], int) and shape[0] > 0:
            return shape[0]
    return 1


def _tensor(outputs: Outputs, name: str, shape: tuple[int, ...]) -> Scores | None:
    """Float64 of this shape (-1: any length), read-only; null elements are NaN. None where the
    tensor is missing or malformed."""
    if name not in outputs:
        return None
    try:
        values = _numbers(outputs[name]["data"])
        values = values.reshape(outputs[name]["shape"] if len(shape) > 1 else -1)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("the predictor's %s is malformed: %s", name, error)
        return None
    if len(values.shape) != len(shape) or any(
        wanted not in (-1, given) for wanted, given in zip(shape, values.shape, strict=True)
    ):
        wanted = ["any" if each == -1 else each for each in shape]
        logger.warning("the predictor's %s has shape %s, not %s", name, values.shape, wanted)
        return None
    values.setflags(write=False)
    return values


def _numbers(data: Any) -> Scores:
    """Numbers and nulls only: numpy would also read numbers out of strings."""
    values = np.array(data)
    if values.dtype.kind not in "iufO":
        raise ValueError("its data are not numbers")
    return values.astype(np.float64)
