"""From a response, whole or streamed, to an Answer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import orjson
from httpx_sse import ServerSentEvent

from predictors.contract import Answer, Delta, is_telemetry
from predictors.contract.usage import cached_of
from predictors.upstream.attempt import Declined, error_reason
from predictors.upstream.json_body import parse_json, whole_pairs
from predictors.upstream.ledger.sent import used
from predictors.upstream.openai.bodies import API
from predictors.upstream.openai.choice import (
    ended_by,
    finish_reason,
    first_choice,
    raise_error,
    reasoning,
    refusal,
    tool_calls,
)
from predictors.upstream.openai.events import events
from predictors.upstream.openai.logprobs import scored_tokens
from predictors.upstream.openai.signals import PrefixSignals
from predictors.upstream.parts import Give

END: Final = "[DONE]"
NO_CHOICES: Final = "not a completion: it has no choices"
# Seconds for what follows the end of the text: the token counts, and that the stream ends.
AFTER_THE_END: Final = 5.0
NOTHING: Final = Delta()
DECISION: Final = "hem"  # the extra object of a gateway of ours


async def read_answer(
    response: httpx.Response, api: API, begin: float, stream: bool, give: Give | None = None
) -> Delta:
    """Whole or as a stream of events, as the server sent it, which may not be as was asked
    (`stream`). `begin` is when the request left (perf_counter). Returns the last part; those before
    it go to `give`, and where nobody takes them the last part is all.

    Raises ValueError where it is no answer, Declined where the server or the model declines.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream" or (stream and "json" not in kind):
        if "html" in kind:
            raise ValueError("not an event stream")
        return await streamed_answer(response, api, begin, give)
    return whole_answer(parse_json(await response.aread()), api)


def whole_answer(response: Any, api: API) -> Delta:
    """Raises ValueError where it is not a chat completion or completion; Declined."""
    choice = first_choice(response)
    if choice is None:
        raise ValueError(NO_CHOICES)
    if said := refusal(choice):
        raise Declined(said)
    signals = PrefixSignals()
    signals.add(choice)
    answer = _answer(api.text(choice), signals, response)
    return Delta(
        answer.text,
        reasoning=whole_pairs(reasoning(choice)),
        tokens=scored_tokens(choice),
        tool_calls=tool_calls(choice),
        finish_reason=ended_by(finish_reason(choice)),
        answer=answer,
        served_by=answer.served_by,
        decision=_decision(response),
    )


async def streamed_answer(
    response: httpx.Response, api: API, begin: float, give: Give | None = None
) -> Delta:
    """Raises ValueError where it is no stream of completions, breaks off, or holds an error;
    Declined."""
    stream = _Stream(api, begin)
    async for event in events(response, lambda: AFTER_THE_END if stream.finished else None):
        if stream.take(event):
            break
        if give is not None and (part := stream.new()):
            await give(part)
    return stream.last()


@dataclass(slots=True)
class _Stream:
    """`parts` of the text, and when each came after `begin`; `finished` once the text is whole.
    `unread` are the parts that nobody took yet, `half` a surrogate whose other half is to come."""

    api: API
    begin: float
    parts: list[tuple[str, float]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    signals: PrefixSignals = field(default_factory=PrefixSignals)
    described: dict[str, Any] = field(default_factory=dict)
    unread: list[Delta] = field(default_factory=list)
    half: str = ""
    begun: bool = False
    finished: bool = False
    finish: str = ""

    def take(self, event: ServerSentEvent) -> bool:
        """Whether it was the last one. An event without an object in it says nothing: a ping."""
        data = event.data.strip()
        if data == END:
            self.finished = True
            return True
        if event.event == "error":
            _raise_event(data)
        if not data.startswith(("{", "[")):
            return False
        try:
            body = parse_json(data)
        except orjson.JSONDecodeError:
            if self.finished:
                return False
            raise
        self._take_body(body)
        return False

    def _take_body(self, body: Any) -> None:
        choice = first_choice(body)
        for name in ("model", "usage", DECISION):
            if value := body.get(name):
                self.described[name] = value
        if choice is None:
            return
        self.begun = True
        self.signals.add(choice)
        self.finish = finish_reason(choice) or self.finish
        self.finished = self.finished or self.finish != ""
        if said := refusal(choice):
            self.refusals.append(said)
        if text := self.api.delta(choice):
            self.parts.append((text, time.perf_counter() - self.begin))
        part = Delta(text, reasoning(choice), scored_tokens(choice), tool_calls(choice))
        if part != NOTHING:
            self.unread.append(part)

    def new(self) -> Delta | None:
        """What came since it was asked last, without half a character at its end."""
        if not self.unread:
            return None
        part = self._unread()
        text = self.half + part.text
        self.half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        whole = whole_pairs(text.removesuffix(self.half) if self.half else text)
        return replace(
            part,
            text=whole,
            reasoning=whole_pairs(part.reasoning),
            served_by=_model(self.described),
        )

    def last(self) -> Delta:
        if not self.begun or not self.finished:
            raise ValueError(NO_CHOICES if self.finished else "a stream that broke off")
        if said := "".join(self.refusals):
            raise Declined(said)
        latencies = _latencies(self.described, [at for _, at in self.parts])
        text = "".join(text for text, _ in self.parts)
        answer = _answer(text, self.signals, self.described, latencies)
        part = self._unread()
        return replace(
            part,
            text=whole_pairs(self.half + part.text),
            reasoning=whole_pairs(part.reasoning),
            finish_reason=ended_by(self.finish),
            answer=answer,
            served_by=answer.served_by,
            decision=_decision(self.described),
        )

    def _unread(self) -> Delta:
        unread, self.unread = self.unread, []
        return Delta(
            "".join(part.text for part in unread),
            "".join(part.reasoning for part in unread),
            tuple(token for part in unread for token in part.tokens),
            tuple(call for part in unread for call in part.tool_calls),
        )


def _raise_event(data: str) -> None:
    """Of an event that is called an error, whatever is in it."""
    try:
        body = parse_json(data)
    except ValueError:
        body = None
    if isinstance(body, dict):
        raise_error(body if body.get("error") else {"error": body})
    raise ValueError(f"an error: {error_reason(data.encode())}")


def _latencies(described: Mapping[str, Any], seconds: Sequence[float]) -> dict[str, float]:
    """From when the parts of the text came. Between tokens only where more than one part came:
    else it is unknown."""
    if not seconds:
        return {}
    first, last = seconds[0], seconds[-1]
    count = _usage(described).get("completion_tokens") or 0
    between = len(seconds) > 1 and count > 1
    return {
        "time_to_first_token": first,
        **({"inter_token_latency": (last - first) / (count - 1)} if between else {}),
    }


def _answer(
    text: str,
    signals: PrefixSignals,
    described: Mapping[str, Any],
    latencies: Mapping[str, float] | None = None,
) -> Answer:
    measured: dict[str, Any] = {**_usage(described), **(latencies or {}), **signals.signals()}
    answer = Answer(whole_pairs(text), **measured, served_by=_model(described))
    used(answer.served_by, answer.prompt_tokens, answer.completion_tokens)
    return answer


def _decision(described: Mapping[str, Any]) -> Mapping[str, Any]:
    decision = described.get(DECISION)
    return decision if isinstance(decision, dict) else {}


def _model(described: Mapping[str, Any]) -> str | None:
    model = described.get("model")
    return model if isinstance(model, str) and model else None


def _usage(described: Mapping[str, Any]) -> dict[str, int]:
    usage = described.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts: dict[str, Any] = {n: usage.get(n) for n in ("prompt_tokens", "completion_tokens")}
    known = {name: n for name, n in counts.items() if is_telemetry(name, n)}
    cached = cached_of(usage)
    return known if cached is None else {**known, "cached_tokens": cached}
