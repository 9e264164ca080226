"""Answers as OpenAI's objects, whole or as the events of a stream.

Choices may come in any order, and mixed: each delta goes out as it comes, with its choice's index.
"""

import math
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final, Protocol, TypeVar

import orjson
from openai.types import Completion, CompletionChoice, CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import (
    Choice as ChunkChoice,
    ChoiceDelta,
    ChoiceLogprobs as ChunkLogprobs,
)
from openai.types.chat.chat_completion_message import ChatCompletionMessage
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from openai.types.completion_choice import Logprobs
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails

from predictors.contract.answer import Answer, is_telemetry
from predictors.contract.chat import Delta, ScoredToken
from predictors.contract.names import EDGE
from predictors.contract.openai.fields import HEM_FIELD, SIGNALS, TELEMETRY_FIELD
from predictors.contract.query import Query

T = TypeVar("T")

DONE: Final = "[DONE]"
# What clients of OpenAI's take for a probability of 0: JSON has no infinity.
LOWEST_LOGPROB: Final = -9999.0
PLACE: Final = "the text of a part"


class Writer(Protocol):
    """Writes the answers to the queries of one request: JSON, without blanks."""

    def event(self, index: int, delta: Delta) -> str | None:
        """None where the delta has nothing to show."""

    def usage(self) -> str:
        """The event behind the choices, where the request asked for it."""

    def whole(self, answers: Sequence[Sequence[Delta]]) -> str:
        """All choices at once; of each all its deltas."""


class _Writer:
    """`choices`: how many of the queries in a row have the same prompt."""

    def __init__(self, model: str, queries: Sequence[Query], choices: int, prefix: str) -> None:
        self._model = model
        self._about: dict[str, Any] = {
            "id": f"{prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }
        self._queries = queries
        self._choices = choices
        self._answers: dict[int, Answer] = {}

    def _noted(self, index: int, delta: Delta) -> Delta:
        """The delta as it is shown: an engine may have asked for more than the caller did."""
        if delta.served_by:
            self._about["model"] = delta.served_by
        elif delta.answer is not None and delta.answer.speculation is not None:
            self._about["model"] = self._model  # it ended what another one had begun
        if delta.answer is not None:
            self._answers[index] = delta.answer
        asked = self._queries[index].top_logprobs
        if asked is None:
            return replace(delta, tokens=()) if delta.tokens else delta
        if any(len(token.top) > asked for token in delta.tokens):
            tokens = tuple(replace(token, top=token.top[:asked]) for token in delta.tokens)
            return replace(delta, tokens=tokens)
        return delta

    def _telemetry(self, index: int, last: Delta) -> dict[str, Any]:
        """An extra object of a choice whose log-probabilities are asked for: V2's telemetry. It
        also counts the token that ends an answer, which OpenAI's log-probabilities leave out."""
        if last.answer is None or self._queries[index].top_logprobs is None:
            return {}
        values = {name: getattr(last.answer, name) for name in SIGNALS}
        known = {name: value for name, value in values.items() if is_telemetry(name, value)}
        return {TELEMETRY_FIELD: known} if known else {}

    def _usage(self) -> CompletionUsage:
        """Each prompt once, however many choices it has; 0 where an engine can't tell."""
        prompts = {i // self._choices: answer for i, answer in self._answers.items()}
        prompt = sum(answer.prompt_tokens or 0 for answer in prompts.values())
        completion = sum(answer.completion_tokens or 0 for answer in self._answers.values())
        usage = CompletionUsage(
            prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
        )
        cached = [each.cached_tokens for each in prompts.values() if each.cached_tokens is not None]
        if cached:
            usage.prompt_tokens_details = PromptTokensDetails(cached_tokens=sum(cached))
        told = [each.speculation for each in self._answers.values() if each.speculation]
        if told:
            accepted = sum(each.accepted_tokens for each in told)
            usage.completion_tokens_details = CompletionTokensDetails(
                accepted_prediction_tokens=accepted,
                rejected_prediction_tokens=sum(each.drafted_tokens for each in told) - accepted,
            )
        return usage

    def _hem(self, delta: Delta) -> dict[str, Any]:
        """An extra object behind an answer that a small model may have drafted: how it came
        about."""
        if delta.answer is None or delta.answer.speculation is None:
            return {}
        told = asdict(delta.answer.speculation)
        told = {"speculation": told.pop("route"), **told}
        return {HEM_FIELD: {name: value for name, value in told.items() if value != ""}}


class ChatWriter(_Writer):
    """`chat.completion` and `chat.completion.chunk`."""

    def __init__(self, model: str, queries: Sequence[Query], choices: int = 1) -> None:
        super().__init__(model, queries, choices, "chatcmpl")
        self._begun: set[int] = set()
        # What stands around the text of a part that is text alone, by choice and model.
        self._around: dict[tuple[int, str], tuple[str, str]] = {}

    def event(self, index: int, delta: Delta) -> str | None:
        delta = self._noted(index, delta)
        if index in self._begun and _is_text_alone(delta):
            return self._text_alone(index, delta.text)
        fields: dict[str, Any] = {}
        if index not in self._begun:
            self._begun.add(index)
            fields = {"role": "assistant", "content": ""}
        if delta.text:
            fields["content"] = delta.text
        if delta.reasoning:
            fields["reasoning_content"] = delta.reasoning
        if delta.tool_calls:
            fields["tool_calls"] = list(delta.tool_calls)
        if not (fields or delta.tokens or delta.finish_reason):
            return None
        scored: dict[str, Any] = {}
        if delta.tokens:
            scored = {"logprobs": ChunkLogprobs(content=[_scored(each) for each in delta.tokens])}
        choice = ChunkChoice(
            index=index,
            delta=ChoiceDelta(**fields),
            finish_reason=delta.finish_reason,
            **scored,
            **self._telemetry(index, delta),
        )
        return self._chunk(choices=[choice], **self._hem(delta))

    def _text_alone(self, index: int, text: str) -> str | None:
        """Nearly all parts of a stream are the same but for their text."""
        if not text:
            return None
        key = index, self._about["model"]
        if key not in self._around:
            delta = ChoiceDelta(content=PLACE)
            chunk = self._chunk(choices=[ChunkChoice(index=index, delta=delta, finish_reason=None)])
            before, _, behind = chunk.partition(f'"{PLACE}"')
            self._around[key] = before, behind
        before, behind = self._around[key]
        return f"{before}{orjson.dumps(text).decode()}{behind}"

    def usage(self) -> str:
        return self._chunk(choices=[], usage=self._usage())

    def whole(self, answers: Sequence[Sequence[Delta]]) -> str:
        choices = [self._choice(index, deltas) for index, deltas in enumerate(answers)]
        completion = ChatCompletion(
            object="chat.completion",
            choices=choices,
            usage=self._usage(),
            **self._about,
            **self._hem(_to_tell(answers)),
        )
        return completion.model_dump_json(exclude_unset=True)

    def _choice(self, index: int, deltas: Sequence[Delta]) -> Choice:
        deltas = [self._noted(index, delta) for delta in deltas]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(delta.text for delta in deltas),
        }
        if reasoning := "".join(delta.reasoning for delta in deltas):
            message["reasoning_content"] = reasoning
        if calls := whole_calls(call for delta in deltas for call in delta.tool_calls):
            message["tool_calls"] = calls
            message["content"] = message["content"] or None
        tokens = [_scored(token) for delta in deltas for token in delta.tokens]
        asked = self._queries[index].top_logprobs is not None
        return Choice(
            index=index,
            message=ChatCompletionMessage(**message),
            finish_reason=deltas[-1].finish_reason or "stop",
            logprobs=ChoiceLogprobs(content=tokens) if asked else None,
            **self._telemetry(index, deltas[-1]),
        )

    def _chunk(self, **fields: Any) -> str:
        chunk = ChatCompletionChunk(object="chat.completion.chunk", **self._about, **fields)
        return chunk.model_dump_json(exclude_unset=True)


class CompletionWriter(_Writer):
    """`text_completion`, for whole answers and for events alike."""

    def __init__(self, model: str, queries: Sequence[Query], choices: int = 1) -> None:
        super().__init__(model, queries, choices, "cmpl")
        self._characters: dict[int, int] = {}

    def event(self, index: int, delta: Delta) -> str | None:
        if not (delta.text or delta.tokens or delta.finish_reason):
            return None
        return self._completion(choices=[self._choice(index, [delta])], **self._hem(delta))

    def usage(self) -> str:
        return self._completion(choices=[], usage=self._usage())

    def whole(self, answers: Sequence[Sequence[Delta]]) -> str:
        choices = [self._choice(index, deltas) for index, deltas in enumerate(answers)]
        told = self._hem(_to_tell(answers))
        return self._completion(choices=choices, usage=self._usage(), **told)

    def _choice(self, index: int, deltas: Sequence[Delta]) -> CompletionChoice:
        deltas = [self._noted(index, delta) for delta in deltas]
        tokens = [token for delta in deltas for token in delta.tokens]
        # A part of a stream has no reason yet; the package's type, made for the whole, wants one.
        return CompletionChoice.model_construct(
            index=index,
            text="".join(delta.text for delta in deltas),
            finish_reason=deltas[-1].finish_reason,
            logprobs=self._logprobs(index, tokens) if tokens else None,
            **self._telemetry(index, deltas[-1]),
        )

    def _logprobs(self, index: int, tokens: Iterable[ScoredToken]) -> Logprobs:
        offsets, at = [], self._characters.get(index, 0)
        listed = list(tokens)
        for token in listed:
            at = at if token.offset is None else token.offset
            offsets.append(at)
            at += len(token.text)
        self._characters[index] = at
        # A prompt's first token has nulls, which the package's type doesn't know.
        return Logprobs.model_construct(
            tokens=[token.text for token in listed],
            token_logprobs=[_or_null(token, _finite(token.logprob)) for token in listed],
            top_logprobs=[_or_null(token, _alternatives(token)) for token in listed],
            text_offset=offsets,
        )

    def _completion(self, **fields: Any) -> str:
        completion = Completion.model_construct(object="text_completion", **self._about, **fields)
        return completion.model_dump_json(exclude_unset=True, warnings=False)


def _to_tell(answers: Sequence[Sequence[Delta]]) -> Delta:
    """Of several choices the end of the first one; where a small model had to end another, of that
    one."""
    ends = [deltas[-1] for deltas in answers]
    return next(filter(_stands_in, ends), ends[0])


def _stands_in(end: Delta) -> bool:
    told = end.answer.speculation if end.answer is not None else None
    return told is not None and told.route == EDGE


def _is_text_alone(delta: Delta) -> bool:
    other = delta.reasoning or delta.tokens or delta.tool_calls or delta.finish_reason
    return not (other or delta.answer)


def whole_calls(pieces: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The calls that a stream's pieces are, by their index; a whole one is a piece of its own."""
    calls: dict[int, dict[str, Any]] = {}
    for number, piece in enumerate(pieces):
        place = piece.get("index")
        call = calls.setdefault(
            place if isinstance(place, int) else number,
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        function = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""
    return [calls[place] for place in sorted(calls)]


def _scored(token: ScoredToken) -> ChatCompletionTokenLogprob:
    top = [
        TopLogprob(token=text, logprob=_finite(logprob), bytes=list(text.encode()))
        for text, logprob in token.top
    ]
    return ChatCompletionTokenLogprob(
        token=token.text,
        logprob=_finite(token.logprob),
        bytes=list(token.text.encode()),
        top_logprobs=top,
    )


def _or_null(token: ScoredToken, value: T) -> T | None:
    return None if token.logprob is None else value


def _alternatives(token: ScoredToken) -> dict[str, float]:
    """By their texts; of those that look alike, such as bytes of characters, the likeliest."""
    return {text: _finite(logprob) for text, logprob in reversed(token.top)}


def _finite(logprob: float | None) -> float:
    return logprob if logprob is not None and math.isfinite(logprob) else LOWEST_LOGPROB
