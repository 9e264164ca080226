"""The edge model's V2 response, as an answer-stage algorithm sees it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictors.contract import BOX_FIELDS, BOXES, PROBABILITIES, TEXT_OUTPUT
from transformers_hem.algorithms.base import Batch, Scores

logger = logging.getLogger("kserve.hem")

Outputs = Mapping[str, dict[str, Any]]


def answer_batch(response: Mapping[str, Any], texts: Sequence[str]) -> Batch:
    """N rows with the signals that the response has; a malformed tensor is a missing signal, never
    an easy one.

    N is the number of `texts`, or of the answers where the request has no text.
    """
    outputs = named_outputs(response)
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


def named_outputs(response: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The outputs of a V2 response by name; what has no name is left out."""
    outputs = [output for output in response["outputs"] if isinstance(output, dict)]
    return {output["name"]: output for output in outputs if isinstance(output.get("name"), str)}


def answer_texts(response: Mapping[str, Any], size: int) -> tuple[str, ...]:
    """The answers in a V2 response; empty where they are not exactly `size` strings."""
    data = named_outputs(response).get(TEXT_OUTPUT, {}).get("data")
    if isinstance(data, list) and len(data) == size and all(isinstance(x, str) for x in data):
        return tuple(data)
    return ()


def _rows(outputs: Outputs) -> int:
    """First dimension of the answers, else of the first output with a shape, else 1."""
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
        values = np.array(outputs[name]["data"])
        if values.dtype.kind not in "iufO":  # numpy would also read numbers out of strings
            raise ValueError("its data are not numbers")
        values = values.astype(np.float64)
        values = values.reshape(outputs[name]["shape"] if len(shape) > 1 else -1)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("the predictor's %s is malformed: %s", name, error)
        return None
    if len(values.shape) != len(shape) or any(
        length not in (-1, actual) for length, actual in zip(shape, values.shape, strict=True)
    ):
        expected = ["any" if length == -1 else length for length in shape]
        logger.warning("the predictor's %s has shape %s, not %s", name, values.shape, expected)
        return None
    values.setflags(write=False)
    return values
