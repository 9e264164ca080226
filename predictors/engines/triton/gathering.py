"""The responses of an LLM back end -> answers with the contract's telemetry."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from predictors.engines.triton.client import Tensors
from predictors.errors import UpstreamError
from predictors.protocol import TELEMETRY, TEXT_OUTPUT, Answer


class StreamedAnswer:
    """One answer that comes in parts, named as Triton's vLLM backend names its outputs.

    `streamed`: the model was asked to send each token as it comes. Only then does the first
    response tell when the first token was there. Times are seconds on any one clock.
    """

    def __init__(self, began: float, *, streamed: bool) -> None:
        self._began = began
        self._streamed = streamed
        self._parts: list[bytes] = []
        self._tokens: int | None = None
        self._prompt_tokens: int | None = None
        self._logprobs: list[float] | None = None
        self._margins: list[float] | None = None
        self._first: float | None = None
        self._first_tokens = 0
        self._last = began

    def add(self, response: Tensors, now: float) -> None:
        """Raises UpstreamError for a response that is none of an LLM back end."""
        part = b"".join(_texts(response, 1))
        count = _number(response, "num_output_tokens")
        self._parts.append(part)
        if count is not None:
            self._tokens = (self._tokens or 0) + count
        self._prompt_tokens = _number(response, "num_input_tokens") or self._prompt_tokens
        self._add_logprobs(response)
        if part or count:
            self._last = now
            if self._first is None:
                self._first, self._first_tokens = now, count or 0

    def answer(self, served_by: str) -> Answer:
        if not self._parts:
            raise UpstreamError("the model ended its stream without a response")
        logprobs = self._logprobs or []
        first = self._first if self._streamed else None
        return Answer(
            _decoded(b"".join(self._parts)),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens,
            time_to_first_token=None if first is None else first - self._began,
            inter_token_latency=self._inter_token_latency() if self._streamed else None,
            mean_logprob=_mean(logprobs),
            min_logprob=min(logprobs) if logprobs else None,
            mean_margin=_mean(self._margins or []),
            served_by=served_by,
        )

    def _inter_token_latency(self) -> float | None:
        """A response may hold several tokens: those after the first response, not responses."""
        later = (self._tokens or 0) - self._first_tokens
        return (self._last - self._first) / later if self._first is not None and later > 0 else None

    def _add_logprobs(self, response: Tensors) -> None:
        tokens = _logprobs(response)
        if tokens is None:
            return
        self._logprobs = (self._logprobs or []) + [token[0] for token in tokens]
        self._margins = (self._margins or []) + [m for token in tokens if (m := _margin(token))]


def row_answers(response: Tensors, rows: int, served_by: str) -> list[Answer]:
    """All answers of one response. Outputs named as the contract's telemetry are telemetry."""
    texts = _texts(response, rows)
    given: dict[str, Sequence[Any]] = {}
    for name, datatype in TELEMETRY.items():
        if name in response and response[name].values.size == rows:
            cast = float if datatype.startswith("FP") else int
            given[name] = [cast(value) for value in response[name].values.ravel()]
    return [
        Answer(
            _decoded(text),
            served_by=served_by,
            **{name: column[row] for name, column in given.items()},
        )
        for row, text in enumerate(texts)
    ]


def _texts(response: Tensors, rows: int) -> list[bytes]:
    found = response.get(TEXT_OUTPUT)
    if found is None:
        raise UpstreamError(f"the model gave no {TEXT_OUTPUT!r}, but {', '.join(response)}")
    if found.values.size != rows:
        raise UpstreamError(f"the model gave {found.values.size} answers to {rows} queries")
    return list(found.values.ravel())


def _number(response: Tensors, name: str) -> int | None:
    found = response.get(name)
    return int(found.values.sum()) if found is not None and found.values.size else None


def _logprobs(response: Tensors) -> list[list[float]] | None:
    """Of each token the sampled one's first, then the likeliest others', as vLLM orders them."""
    found = response.get("logprobs")
    if found is None or not found.values.size:
        return None
    try:
        tokens = json.loads(found.values.ravel()[0])
        return None if tokens is None else [_values(token) for token in tokens]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UpstreamError(f"the model's 'logprobs' can't be read: {error!r}") from None


def _values(token: Mapping[str, Mapping[str, Any]]) -> list[float]:
    values = [float(entry["logprob"]) for entry in token.values()]
    if not values:
        raise ValueError("a token without log-probabilities")
    return values


def _margin(token: list[float]) -> float | None:
    """p(top1) - p(top2)."""
    top = sorted(token, reverse=True)[:2]
    return math.exp(top[0]) - math.exp(top[1]) if len(top) == 2 else None


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise UpstreamError(f"the model's {TEXT_OUTPUT!r} is not UTF-8: {error.reason}") from None
