"""From a response, whole or streamed, to an Answer."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson
from httpx_sse import EventSource, SSEError

from predictors.contract import Answer, is_telemetry
from predictors.upstream.openai.bodies import API
from predictors.upstream.openai.logprobs import Token, telemetry, tokens_of

# An answer that ended so is not one: LMDeploy's, SGLang's, vLLM's words for an engine that gave up.
BROKEN: Final = frozenset({"error", "abort"})
END: Final = "[DONE]"
NO_CHOICES: Final = "not a completion: it has no choices"


def whole_answer(response: Any, api: API) -> Answer:
    """Raises ValueError where it is not a chat completion or completion."""
    choice = _choice(response)
    if choice is None:
        raise ValueError(NO_CHOICES)
    _check_finish(choice)
    return _answer(api.text(choice), tokens_of(choice), response)


async def streamed_answer(response: httpx.Response, api: API, begin: float) -> Answer:
    """Reads server-sent events to their end; `begin` is when the request left (perf_counter).

    Raises ValueError where they are not a stream of completions, break off, or hold an error.
    """
    stream = _Stream(api, begin)
    response.encoding = "utf-8"  # as HTML's standard has it for event streams, charset or not
    try:
        async for event in EventSource(response).aiter_sse():
            if event.data == END:
                return stream.answer()
            stream.add(orjson.loads(event.data))
    except SSEError:
        raise ValueError("not an event stream") from None
    if not stream.finished:
        raise ValueError("a stream that broke off")
    return stream.answer()


@dataclass(slots=True)
class _Stream:
    api: API
    begin: float
    finished: bool = False
    _begun: bool = False
    _texts: list[str] = field(default_factory=list)
    _tokens: list[Token] = field(default_factory=list)
    _described: dict[str, Any] = field(default_factory=dict)
    _first: float = math.nan
    _last: float = math.nan

    def add(self, event: Any) -> None:
        choice = _choice(event)
        for name in ("model", "usage"):
            if event.get(name):
                self._described[name] = event[name]
        if choice is None:
            return
        self._begun = True
        _check_finish(choice)
        self.finished = self.finished or choice.get("finish_reason") is not None
        if text := self.api.delta(choice):
            self._last = time.perf_counter()
            self._first = self._last if not self._texts else self._first
            self._texts.append(text)
        self._tokens += tokens_of(choice)

    def answer(self) -> Answer:
        if not self._begun:
            raise ValueError(NO_CHOICES)
        return _answer("".join(self._texts), self._tokens, self._described, self._latencies())

    def _latencies(self) -> dict[str, float]:
        """Between tokens only where more than one event brought text: else it is unknown."""
        if not self._texts:
            return {}
        latencies = {"time_to_first_token": self._first - self.begin}
        count = _usage(self._described).get("completion_tokens") or 0
        if len(self._texts) > 1 and count > 1:
            latencies["inter_token_latency"] = (self._last - self._first) / (count - 1)
        return latencies


def _choice(response: Any) -> Mapping[str, Any] | None:
    """The first choice; None where there is none, as in a stream's event of usage alone."""
    if not isinstance(response, dict):
        raise ValueError("not a completion: it is not a JSON object")
    if error := response.get("error"):
        message = error.get("message", error) if isinstance(error, dict) else error
        raise ValueError(f"an error: {message}")
    choices = response.get("choices")
    if not isinstance(choices, list):
        raise ValueError(NO_CHOICES)
    if not choices:
        return None
    if not isinstance(choices[0], dict):
        raise ValueError("not a completion: its choice is not an object")
    return choices[0]


def _check_finish(choice: Mapping[str, Any]) -> None:
    if choice.get("finish_reason") in BROKEN:
        raise ValueError(f"a completion that ended with {choice['finish_reason']!r}")


def _answer(
    text: str,
    tokens: Sequence[Token],
    described: Mapping[str, Any],
    latencies: Mapping[str, float] | None = None,
) -> Answer:
    measured: dict[str, Any] = {**_usage(described), **(latencies or {}), **telemetry(tokens)}
    model = described.get("model")
    return Answer(text, **measured, served_by=model if isinstance(model, str) and model else None)


def _usage(described: Mapping[str, Any]) -> dict[str, int]:
    usage = described.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts: dict[str, Any] = {n: usage.get(n) for n in ("prompt_tokens", "completion_tokens")}
    return {name: n for name, n in counts.items() if is_telemetry(name, n) and n >= 0}
