"""The events of one streamed answer on their way to the caller, who learns at the end who gave it
and what it cost."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from predictors.upstream.attempt import Declined
from predictors.upstream.openai.choice import (
    ABOUT,
    BROKEN,
    WITHHELD,
    finish_reason,
    raise_error,
    refusal,
)
from predictors.upstream.openai.events import read_event
from transformers_hem.gateway.events import event_of, payload
from transformers_hem.gateway.said import Said, text_of, with_text
from transformers_hem.gateway.served import HEM, Served

Rewrite = Callable[[dict[str, Any]], dict[str, Any] | None]


def chained(first: Rewrite, second: Rewrite | None) -> Rewrite:
    if second is None:
        return first

    def rewrite(data: dict[str, Any]) -> dict[str, Any] | None:
        between = first(data)
        return None if between is None else second(between)

    return rewrite


class Event(NamedTuple):
    """On its way out, as it came (`raw`), or with who answers beside it. `data`: what it says,
    where somebody wants to know."""

    raw: bytes
    data: dict[str, Any] | None = None
    described: bool = False


class Passing:
    """Events go on as they came, but for the last ones. The event that ends the answer waits for
    the one with its usage, which a caller gets who asked for it (`shows_usage`).

    `said` is told all that the caller gets. `rewrite` makes another event of each, or None of one
    that the caller does not get.
    """

    def __init__(
        self,
        served: Served,
        *,
        shows_usage: bool,
        said: Said | None = None,
        rewrite: Rewrite | None = None,
    ) -> None:
        self._served = served
        self._shows_usage = shows_usage
        self._said = said
        self._rewrite = rewrite
        self._choices: dict[int, bool] = {}  # those that have begun, and whether they have ended
        self._ready: list[Event] = []
        self._characters = 0  # that went out, where only so many may
        self._last: Event | None = None
        self._behind: list[Event] = []  # what came behind it, and says nothing more
        self.says = False  # whether the answer has said something
        self.parts = 0  # of what it has said
        self._is_plain = said is None and rewrite is None

    @property
    def ended(self) -> bool:
        return bool(self._choices) and all(self._choices.values())

    def require_answer(self) -> None:
        """Of a stream that has ended. Raises ValueError where it had no choice."""
        if not self._choices:
            raise ValueError("a stream without an answer")

    def take(self, event: bytes) -> None:
        """Raises ValueError for an error and for what is no event of an answer, Declined."""
        data = payload(event)
        if data is None:
            if read_event(event).data:
                raise ValueError(f"an event that is not JSON: {event[:80]!r}")
            if self.says:
                self._ready.append(Event(event))  # a comment: the server is at work
            return
        if self._goes_on(data):
            self._ready.append(Event(event))
            return
        raise_error(data)
        self._served.attempt.read(data)
        said = sum(map(_says_something, _choices(data)))
        self._served.attempt.parts += said
        self.parts += said
        if self._rewrite is not None:
            rewritten = self._rewrite(data)
            if rewritten is None:
                return
            data, event = rewritten, event_of(rewritten)
        self._take_in(event, data)

    def _take_in(self, event: bytes, data: dict[str, Any]) -> None:
        """Into its place among those that go out. Raises ValueError."""
        choices = _choices(data)
        if not self.says:
            for choice in choices:
                _require_answer(choice)
        says = any(map(_says_something, choices))
        ended = {c.get("index", 0): bool(c.get("finish_reason")) for c in choices}
        ends = any(ended.values())
        if ends:
            for choice in choices:
                _require_end(choice)
        self._choices |= {i: end or self._choices.get(i, False) for i, end in ended.items()}
        self.says = self.says or ends or says
        if self._last is not None:
            if not (says or ends or data.get("usage")):
                self._behind.append(Event(event, data))
                return
            self._let_go()
        if ends and self.ended and not data.get("usage"):
            self._last = Event(event, data, described=True)
        elif choices or not data.get("usage"):
            self._ready.append(Event(event, data, described=ends))
        elif self._shows_usage:
            self._ready.append(Event(event, data, described=True))

    def _goes_on(self, data: Mapping[str, Any]) -> bool:
        """Whether it has more text of a choice that has said something before, and nothing else: as
        nearly all events do, so that this is quick."""
        if not (self.says and self._is_plain) or self._last is not None:
            return False
        if not ABOUT.issuperset(data):
            return False
        choices = data.get("choices")
        if type(choices) is not list or len(choices) != 1:
            return False
        (choice,) = choices
        if type(choice) is not dict or choice.get("finish_reason") or data.get("usage"):
            return False
        if choice.get("index", 0) not in self._choices:
            return False
        if not ((choice.get("delta") or {}).get("content") or choice.get("text")):
            return False
        self.parts += 1
        self._served.attempt.parts += 1
        return True

    def due(self, until: int | None = None) -> list[Event]:
        """What can go out now, once the answer says something: a server may fail behind a first
        event that only names a role. `until`: no more than so many characters of its text."""
        if not self.says:
            return []
        due, self._ready = self._ready, []
        return due if until is None else self._as_far_as(until, due)

    def _as_far_as(self, until: int, ready: list[Event]) -> list[Event]:
        """An event is cut where more than blanks come behind; the others stay."""
        due = []
        for number, event in enumerate(ready):
            data = event.data or {}
            text = text_of(data)
            room = max(0, until - self._characters)
            if text[room:].strip():
                if room:
                    choices = [{**each, "finish_reason": None} for each in _choices(data)]
                    begins = with_text({**data, "choices": choices}, text[:room])
                    due.append(Event(event_of(begins), begins))
                    rest = with_text(data, text[room:])
                    event = event._replace(raw=event_of(rest), data=rest)
                self._characters += room
                self._ready = [event, *ready[number + 1 :]]
                break
            self._characters += len(text)
            due.append(event)
        return due

    def written(self, events: list[Event]) -> bytes:
        """Of events that go out, to the last of which the caller is told who answers."""
        written = []
        for raw, data, described in events:
            if data is not None and self._said is not None:
                self._said.take(data)
            if described:
                raw = event_of({**(data or {}), HEM: self._served.as_json()})
            written.append(raw)
        return b"".join(written)

    def rest(self) -> bytes:
        """All that is there: nothing more comes."""
        self._let_go()
        self.says = True
        return self.written(self.due())

    def _let_go(self) -> None:
        if self._last is not None:
            self._ready += [self._last, *self._behind]
            self._last, self._behind = None, []


def _choices(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in data.get("choices") or () if isinstance(each, dict)]


def _require_answer(choice: Mapping[str, Any]) -> None:
    """Of an answer that has said nothing yet. Raises Declined where the server withholds it, or the
    model says why it gives none."""
    if said := refusal(choice):
        raise Declined(said)
    reason = finish_reason(choice)
    if reason.partition(":")[0] in WITHHELD:
        raise Declined(f"finish_reason {reason!r}")


def _require_end(choice: Mapping[str, Any]) -> None:
    """Raises ValueError where the server gave up."""
    if (reason := finish_reason(choice)) in BROKEN:
        raise ValueError(f"a completion that ended with {reason!r}")


def _says_something(choice: Mapping[str, Any]) -> bool:
    """Whether there is more in it than a role."""
    delta = choice.get("delta") or {}
    if delta.get("content") or choice.get("text"):
        return True
    return any(value for name, value in delta.items() if name != "role")
