"""From a response, whole or streamed, to an Answer."""

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from predictors.contract import Answer, Delta, ScoredToken, is_telemetry
from predictors.contract.usage import cached_of
from predictors.upstream.attempt import Declined, error_reason, said_all
from predictors.upstream.json_body import parse_json, whole_pairs
from predictors.upstream.ledger.sent import used
from predictors.upstream.openai.bodies import API
from predictors.upstream.openai.choice import (
    Choice,
    ended_by,
    finish_reason,
    first_choice,
    piece,
    raise_error,
    reasoning,
    refusal,
    tool_calls,
)
from predictors.upstream.openai.events import Event, arriving, read_event
from predictors.upstream.openai.logprobs import scored_tokens
from predictors.upstream.openai.signals import PrefixSignals
from predictors.upstream.parts import Give

END: Final = b"[DONE]"
NO_CHOICES: Final = "not a completion: it has no choices"
# Seconds for what follows the end of the text: the token counts, and that the stream ends.
AFTER_THE_END: Final = 5.0
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
    async with aclosing(arriving(response, stream.patience)) as coming:
        async for events in coming:
            if stream.take(events):
                said_all(response)
                break
            if give is not None and (part := stream.new()):
                await give(part)
    return stream.last()


@dataclass(slots=True)
class _Unread:
    """What nobody took yet."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tokens: list[ScoredToken] = field(default_factory=list)
    calls: list[Mapping[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.text or self.reasoning or self.tokens or self.calls)


@dataclass(slots=True)
class _Stream:
    """`parts` of the text; `first` and `latest`: when one came, after `begin`. `finished` once the
    text is whole. `half` is a surrogate whose other half is to come."""

    api: API
    begin: float
    parts: list[str] = field(default_factory=list)
    first: float = 0.0
    latest: float = 0.0
    refusals: list[str] = field(default_factory=list)
    signals: PrefixSignals = field(default_factory=PrefixSignals)
    described: dict[str, Any] = field(default_factory=dict)
    unread: _Unread = field(default_factory=_Unread)
    half: str = ""
    begun: bool = False
    finished: bool = False
    finish: str = ""

    def patience(self) -> float | None:
        return AFTER_THE_END if self.finished else None

    def take(self, events: Sequence[bytes]) -> bool:
        """What arrived together; whether the last one is among them."""
        at = time.perf_counter() - self.begin
        for event in map(read_event, events):
            if event.data.strip() == END:
                self.finished = True
                return True
            self._take(event, at)
        return False

    def _take(self, event: Event, at: float) -> None:
        """An event without an object in it says nothing: a ping."""
        data = event.data.strip()
        if event.name == "error":
            _raise_event(data)
        if not data.startswith((b"{", b"[")):
            return
        try:
            body = _parsed(data)
        except ValueError:
            if not self.finished:
                raise
            return
        if self.begun and (choice := piece(body)) is not None:
            self._take_text(choice, at)
        else:
            self._take_body(body, at)

    def _take_body(self, body: Any, at: float) -> None:
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
        self._take_text(choice, at)
        if thought := reasoning(choice):
            self.unread.reasoning.append(thought)
        self.unread.tokens += scored_tokens(choice)
        self.unread.calls += tool_calls(choice)

    def _take_text(self, choice: Choice, at: float) -> None:
        if text := self.api.delta(choice):
            if not self.parts:
                self.first = at
            self.latest = at
            self.parts.append(text)
            self.unread.text.append(text)

    def new(self) -> Delta | None:
        """What came since it was asked last, without half a character at its end."""
        if not self.unread:
            return None
        unread, self.unread = self.unread, _Unread()
        text = self.half + "".join(unread.text)
        self.half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return Delta(
            whole_pairs(text.removesuffix(self.half) if self.half else text),
            whole_pairs("".join(unread.reasoning)),
            tuple(unread.tokens),
            tuple(unread.calls),
            served_by=_model(self.described),
        )

    def last(self) -> Delta:
        if not self.begun or not self.finished:
            raise ValueError(NO_CHOICES if self.finished else "a stream that broke off")
        if said := "".join(self.refusals):
            raise Declined(said)
        answer = _answer("".join(self.parts), self.signals, self.described, self._latencies())
        unread, self.unread = self.unread, _Unread()
        return Delta(
            whole_pairs(self.half + "".join(unread.text)),
            whole_pairs("".join(unread.reasoning)),
            tuple(unread.tokens),
            tuple(unread.calls),
            ended_by(self.finish),
            answer,
            answer.served_by,
            _decision(self.described),
        )

    def _latencies(self) -> dict[str, float]:
        """From when the parts of the text came. Between tokens only where more than one part came:
        else it is unknown."""
        if not self.parts:
            return {}
        told = {"time_to_first_token": self.first}
        count = _usage(self.described).get("completion_tokens") or 0
        if len(self.parts) > 1 and count > 1:
            told["inter_token_latency"] = (self.latest - self.first) / (count - 1)
        return told


def _parsed(data: bytes) -> Any:
    """Also what is not UTF-8: HTML's standard has U+FFFD for it."""
    try:
        return parse_json(data)
    except ValueError:
        return parse_json(data.decode(errors="replace"))


def _raise_event(data: bytes) -> None:
    """Of an event that is called an error, whatever is in it."""
    try:
        body = parse_json(data)
    except ValueError:
        body = None
    if isinstance(body, dict):
        raise_error(body if body.get("error") else {"error": body})
    raise ValueError(f"an error: {error_reason(data)}")


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
