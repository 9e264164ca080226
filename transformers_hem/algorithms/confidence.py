"""Mines the edge model's answer by how sure the model was of its own tokens."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores, Stage


class ConfidenceParameters(AlgorithmParameters):
    """`signal`: mean or minimum log-probability (nats) over the tokens of the answer, or over the
    first `prefix_tokens` of them."""

    signal: Literal["mean_logprob", "min_logprob"] = "mean_logprob"
    prefix_tokens: int | None = Field(default=None, ge=1)


class ConfidenceRouter(Algorithm):
    """score = 1 - exp(log-probability): 1 minus the tokens' geometric mean (or least) probability.

    Monotone in the signal and free of the answer's length (a summed log-probability would call
    every long answer hard). A row without the signal, or with NaN in it, has no score.
    """

    stage: ClassVar[Stage] = "answer"
    Parameters: ClassVar[type[AlgorithmParameters]] = ConfidenceParameters

    def __init__(self, parameters: ConfidenceParameters) -> None:
        self._signal = parameters.signal
        self._prefix_tokens = parameters.prefix_tokens
        self.signals = (parameters.signal,)

    @property
    def prefix_tokens(self) -> int | None:
        return self._prefix_tokens

    def score(self, batch: Batch) -> Scores:
        logprob: Scores | None = getattr(batch, self._signal)
        if logprob is None:
            return np.full(batch.size, np.nan)
        # A log-probability above 0 is rounding in the engine.
        return -np.expm1(np.minimum(logprob, 0.0))
