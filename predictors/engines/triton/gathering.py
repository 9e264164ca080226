"""Turns the responses of an LLM back end into answers with the contract's telemetry."""

import json
from codecs import utf_8_decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from predictors.contract import INT32, TELEMETRY, TEXT_OUTPUT, Answer, Delta, is_telemetry
from predictors.contract.chat import finish_of
from predictors.contract.tensors import BYTES, Tensor
from predictors.engines.triton.client import Tensors
from predictors.errors import UpstreamError
from predictors.upstream.openai.choice import BROKEN, ended_by, finish_reason
from predictors.upstream.openai.logprobs import Token, log_probability, margin_of, telemetry

# What a tokenizer makes of the first bytes of a character, in UTF-8.
BROKEN_CHARACTER: Final = "\ufffd".encode()


class StreamedAnswer:
    """One answer that comes in parts, named as Triton's vLLM backend names its outputs.

    `streamed`: the model was asked to send each token as it comes; only then does the first
    response show when the first token was generated. Times are seconds on any one clock. `grows`:
    each part is all of the text so far.
    """

    def __init__(self, began: float, *, streamed: bool, grows: bool = False) -> None:
        self._began = began
        self._streamed = streamed
        self._grows = grows
        self._text = bytearray()
        self._given = 0  # bytes of it
        self._responses = 0
        self._finish = ""
        self._tokens: int | None = None
        self._prompt_tokens: int | None = None
        self._known: list[Token] = []
        self._first: float | None = None
        self._first_tokens = 0
        self._last = began

    def add(self, response: Tensors, now: float) -> None:
        """Raises UpstreamError for a response that an LLM back end doesn't give."""
        (part,) = _texts(response, 1)
        count = _number(response, "num_output_tokens")
        self._responses += 1
        self._take(part)
        self._finish = _finish_reason(response) or self._finish
        if count is not None:
            self._tokens = (self._tokens or 0) + count
        self._prompt_tokens = _number(response, "num_input_tokens") or self._prompt_tokens
        self._known += _logprobs(response)
        if part or count:
            self._last = now
            if self._first is None:
                self._first, self._first_tokens = now, count or 0

    def new(self) -> str:
        """The text that came since it was asked last, without half a character at its end."""
        if self._grows and self._text.endswith(BROKEN_CHARACTER):
            return ""
        text, size = _whole_characters(self._text[self._given :])
        self._given += size
        return text

    def last(self, served_by: str, max_tokens: int) -> Delta:
        """The whole answer, with the text that nobody has got yet."""
        answer = self.answer(served_by)
        return Delta(
            _decoded(self._text[self._given :]),
            finish_reason=ended_by(self._finish) if self._finish else finish_of(answer, max_tokens),
            answer=answer,
            served_by=served_by,
        )

    def answer(self, served_by: str) -> Answer:
        if not self._responses:
            raise UpstreamError("the model ended its stream without a response")
        first = self._first if self._streamed else None
        return Answer(
            _decoded(self._text),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._tokens,
            time_to_first_token=None if first is None else first - self._began,
            inter_token_latency=self._inter_token_latency() if self._streamed else None,
            served_by=served_by,
            **self._telemetry(),
        )

    def _take(self, part: bytes) -> None:
        if not self._grows:
            self._text += part
        elif part:
            if not part.startswith(self._text[: self._given]):
                raise UpstreamError("the model changed a part of its text that has been given away")
            self._text[:] = part

    def _telemetry(self) -> dict[str, Any]:
        """Of all tokens, or none: a mean of some would pass for that of the answer."""
        return telemetry(self._known) if self._tokens in (None, len(self._known)) else {}

    def _inter_token_latency(self) -> float | None:
        """Seconds per token after the first response: a response may hold several tokens."""
        later = (self._tokens or 0) - self._first_tokens
        return (self._last - self._first) / later if self._first is not None and later > 0 else None


def row_answers(response: Tensors, rows: int, served_by: str) -> list[Answer]:
    """All answers of one response. Outputs with the names of the contract's telemetry are such.

    Raises UpstreamError for a response without an answer to each row.
    """
    texts = _texts(response, rows)
    columns: dict[str, Sequence[Any]] = {
        name: _column(response[name], name)
        for name in TELEMETRY
        if name in response and response[name].values.size == rows
    }
    return [
        Answer(
            _decoded(text),
            served_by=served_by,
            **{name: column[row] for name, column in columns.items()},
        )
        for row, text in enumerate(texts)
    ]


def _texts(response: Tensors, rows: int) -> list[bytes]:
    tensor = response.get(TEXT_OUTPUT)
    if tensor is None:
        raise UpstreamError(f"the model gave no {TEXT_OUTPUT!r}, but {', '.join(response)}")
    if tensor.values.size != rows:
        raise UpstreamError(f"the model gave {tensor.values.size} answers to {rows} queries")
    return list(tensor.values.ravel())


def _column(tensor: Tensor, name: str) -> list[Any]:
    """None for a value that the contract's telemetry of that name can't be."""
    values = tensor.values.ravel().tolist()
    if TELEMETRY[name] == "INT32":  # a count may come as a float
        values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return [value if is_telemetry(name, value) else None for value in values]


def _number(response: Tensors, name: str) -> int | None:
    """The sum of an output of whole numbers; None where the response has no such output."""
    tensor = response.get(name)
    if tensor is None or not tensor.values.size or tensor.values.dtype.kind not in "iu":
        return None
    total = int(tensor.values.sum())
    return total if total in INT32 else None


def _logprobs(response: Tensors) -> list[Token]:
    """The tokens of a response; empty where it has no log-probabilities. Those of one token are
    the sampled token's first, then the likeliest others', as vLLM orders them."""
    tensor = response.get("logprobs")
    if tensor is None or not tensor.values.size:
        return []
    try:
        return [_token(token) for token in json.loads(tensor.values.ravel()[0]) or ()]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise UpstreamError(f"the model's 'logprobs' can't be read: {error!r}") from None


def _token(token: Mapping[str, Mapping[str, Any]]) -> Token:
    values = [log_probability(entry["logprob"]) for entry in token.values()]
    if not values:
        raise ValueError("a token without log-probabilities")
    return Token(values[0], margin_of(values))


def _finish_reason(response: Tensors) -> str:
    """Empty as long as there is none. Raises UpstreamError for one by which it is no answer."""
    tensor = response.get("finish_reason")
    if tensor is None or tensor.datatype != BYTES or not tensor.values.size:
        return ""
    said = tensor.values.ravel()[0].decode(errors="replace")
    reason = finish_reason({"finish_reason": said})
    if reason in BROKEN:
        raise UpstreamError(f"the model ended its answer with {reason!r}")
    return reason


def _decoded(text: bytes | bytearray) -> str:
    whole, size = _whole_characters(text)
    if size < len(text):
        raise UpstreamError(f"the model's {TEXT_OUTPUT!r} ends within a character")
    return whole


def _whole_characters(text: bytes | bytearray) -> tuple[str, int]:
    """Those at the beginning, and their bytes. Raises UpstreamError."""
    try:
        return utf_8_decode(text, "strict", False)
    except UnicodeDecodeError as error:
        raise UpstreamError(f"the model's {TEXT_OUTPUT!r} is not UTF-8: {error.reason}") from None
