"""The edge model's V2 response, as an answer-stage algorithm sees it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictors.protocol import TEXT_OUTPUT
from transformers_hem.algorithms.base import Batch, Scores


def answer_batch(response: Mapping[str, Any], texts: Sequence[str]) -> Batch:
    """N rows with whatever telemetry there is; a malformed tensor is no signal, never an easy one.

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
        mean_logprob=_column(outputs, "mean_logprob", size),
        min_logprob=_column(outputs, "min_logprob", size),
        mean_margin=_column(outputs, "mean_margin", size),
    )


def _rows(outputs: Mapping[str, Mapping[str, Any]]) -> int:
    """First dimension of the answers, else of the first output; 1 where none says."""
    for output in (outputs.get(TEXT_OUTPUT, {}), *outputs.values()):
        shape = output.get("shape")
        if isinstance(shape, list) and shape and isinstance(shape[0], int) and shape[0] > 0:
            return shape[0]
    return 1


def _column(outputs: Mapping[str, Mapping[str, Any]], name: str, size: int) -> Scores | None:
    """Float [size]; null elements are NaN. None where the tensor is missing or malformed."""
    try:
        values = np.array(outputs[name]["data"], dtype=np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError):
        return None
    return values if len(values) == size else None
