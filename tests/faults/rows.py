"""The sixteen faults: what the primary does, and what of it is right.

Every fault is played with one fallback that is well, two retries, and a caller who waits 30 s. All
that is asked for holds for any proxy: what the caller gets, and what the providers are asked.
Seconds are those of a row at its own speed; `Clock` makes them shorter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tests.faults import scripts
from tests.faults.provider import Script
from tests.faults.scripts import well
from tests.faults.verdicts import Played, all_honest, all_whole, more_calls

LIMIT: Final = 30.0
ATTEMPTS: Final = 3  # the first and two retries
LATE: Final = 20.0
RETRY_AFTER: Final = 3.0
HAMMERED: Final = 20  # requests, one behind the other
# Of steady traffic: seconds between two requests, before the fault, of it, and behind it.
EVERY, BEFORE, DOWN, BACK_WITHIN, BEHIND = 1.0, 5.0, 60.0, 30.0, 40.0

CONTINUE: Final = {"x-hem-on-break": "continue"}
# Of refusals, as OpenAI and Azure have them.
CODES: Final = frozenset({"context_length_exceeded", "content_filter", "content_policy_violation"})


@dataclass(frozen=True)
class Clock:
    """`scale` seconds of the clock are one of a row."""

    scale: float = 1.0

    def __call__(self, seconds: float) -> float:
        return seconds * self.scale

    @property
    def retry_after(self) -> int:
        """A header has whole seconds only."""
        return max(1, round(RETRY_AFTER * self.scale))


Right: TypeAlias = Callable[[Played, Clock], str]


@dataclass(frozen=True)
class Case:
    """One way to ask under a fault. `primary` and `fallback` make the scripts, `right` says what
    was wrong, `requests` come one behind the other. `same`: both providers say the same text.
    `steady`: the fault comes and goes while requests come all the time."""

    name: str
    primary: Callable[[Clock], Script]
    right: Right
    fallback: Script = well
    streamed: bool = True
    requests: int = 1
    same: bool = False
    steady: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    name: str
    cases: Sequence[Case]


def both(primary: Callable[[Clock], Script], right: Right, **options: Any) -> Sequence[Case]:
    """For a streaming call, and for one that is answered whole."""
    return tuple(
        Case(name, primary, right, streamed=name == "stream", **options)
        for name in ("stream", "whole")
    )


def streaming(primary: Callable[[Clock], Script], right: Right, **options: Any) -> Sequence[Case]:
    return (Case("stream", primary, right, **options),)


def always(script: Script) -> Callable[[Clock], Script]:
    return lambda clock: script


def answered(most: int) -> Right:
    """A whole answer, for which the primary was asked so often at most."""
    return lambda played, clock: all_whole(played) or more_calls(played, most)


def honest(most: int) -> Right:
    """A whole answer, or an error that says so: never a part of an answer, or a text with a hole or
    with words twice, that ends as a success does."""
    return lambda played, clock: all_honest(played) or more_calls(played, most)


def heeded(played: Played, clock: Clock) -> str:
    """A whole answer, and nobody asked again before Retry-After was over."""
    if why := all_whole(played) or more_calls(played, ATTEMPTS):
        return why
    first, *again = (call.at for call in played.primary.calls)
    if again and again[0] - first < clock.retry_after:
        return f"asked again after {again[0] - first:.2f} s of {clock.retry_after} s"
    return ""


def not_hammered(played: Played, clock: Clock) -> str:
    """All have whole answers, the first request asked the primary three times at most, and all
    together fewer times than there were requests."""
    if why := all_whole(played):
        return why
    end = played.asked[0].began + played.asked[0].seconds
    first, all_calls = sum(c.at < end for c in played.primary.calls), len(played.primary.calls)
    if first > ATTEMPTS:
        return f"the primary was asked {first} times for one request"
    if all_calls >= len(played.asked):
        return f"the primary was asked {all_calls} times for {len(played.asked)} requests"
    return ""


def by_the_primary(played: Played, clock: Clock) -> str:
    """Its whole answer, which nobody was asked for again."""
    if why := all_whole(played) or more_calls(played, 1):
        return why
    return "the fallback was asked" if played.fallback.calls else ""


def refused_once(played: Played, clock: Clock) -> str:
    """The fallback's answer or the refusal as OpenAI has it, and the model that refused was asked
    once."""
    if why := more_calls(played, 1) or all_honest(played):
        return why
    (seen,) = played.asked
    if seen.error and not (400 <= seen.status < 500 and seen.error.get("code") in CODES):
        return f"a refusal with status {seen.status} and code {seen.error.get('code')!r}"
    return ""


def went_on(played: Played, clock: Clock) -> str:
    """A whole answer or an error, and a fallback that refused a prefix was not asked so again."""
    if why := all_honest(played) or more_calls(played, ATTEMPTS):
        return why
    refused = sum(bool(call.prefix) for call in played.fallback.calls)
    return f"the fallback refused a prefix {refused} times" if refused > 1 else ""


def came_back(played: Played, clock: Clock) -> str:
    """All requests have whole answers. While the primary is down it is asked more seldom than there
    are requests, though to the end; within 30 s of its recovery it answers, and then goes on to."""
    if why := all_whole(played):
        return why
    begin, end = played.down
    half = (begin + end) / 2
    requests = sum(begin <= seen.began < end for seen in played.asked)
    calls = [call.at for call in played.primary.calls]
    asked = sum(begin <= at < end for at in calls)
    if asked >= requests:
        return f"while it was down it was asked {asked} times for {requests} requests"
    if not any(half <= at < end for at in calls):
        return "not probed in the second half of its outage"
    back_at = end + clock(BACK_WITHIN)
    late = [seen for seen in played.asked if seen.began >= back_at]
    if not late or any(seen.text != played.primary.text for seen in late):
        return f"does not answer again {clock(BACK_WITHIN):g} s after its recovery"
    return ""


def billed_once(played: Played, clock: Clock) -> str:
    """The fallback's answer, with its name as `model`, and its usage, once."""
    if why := all_whole(played) or more_calls(played, ATTEMPTS):
        return why
    (seen,) = played.asked
    fallback = played.fallback
    if seen.models != [fallback.model]:
        return f"model is {', '.join(seen.models)}, and {fallback.model} answered"
    names = ("prompt_tokens", "completion_tokens")
    told = [tuple(usage.get(name) for name in names) for usage in seen.usages]
    if told != [fallback.tokens]:
        return f"usage is {told}, and {fallback.model} used {fallback.tokens}"
    return "" if len(fallback.calls) == 1 else f"the fallback was asked {len(fallback.calls)} times"


_USAGE: Final = {"fields": {"stream_options": {"include_usage": True}}}

ROWS: Final[Sequence[Row]] = (
    Row("429 with Retry-After", both(lambda c: scripts.throttling(c.retry_after), heeded)),
    Row(
        "429 for ever, without Retry-After",
        both(always(scripts.refusing(429, scripts.TOO_MANY)), not_hammered, requests=HAMMERED),
    ),
    Row("500 once", both(always(scripts.refusing(500, scripts.BROKEN, times=1)), answered(2))),
    Row("503 for ever", both(always(scripts.refusing(503, scripts.BROKEN)), answered(ATTEMPTS))),
    Row("reset before the headers", both(always(scripts.resetting), answered(ATTEMPTS))),
    Row("no response at all", both(always(scripts.silent), answered(1))),
    Row("first token after 20 s", both(lambda c: scripts.late(c(LATE)), answered(1))),
    Row("stream cut after two thirds", streaming(always(scripts.cut), honest(ATTEMPTS))),
    Row("stream that stalls", streaming(always(scripts.stalling), honest(1))),
    Row("malformed event in the middle", streaming(always(scripts.malformed), honest(ATTEMPTS))),
    Row("no [DONE]", streaming(always(scripts.without_done), by_the_primary)),
    Row(
        "context length exceeded",
        both(always(scripts.refusing(400, scripts.TOO_LONG)), refused_once),
    ),
    Row(
        "content filter",
        both(always(scripts.refusing(400, scripts.FILTERED)), refused_once),
    ),
    Row(
        "fallback that rejects an assistant prefix",
        tuple(
            Case(name, always(scripts.cut), went_on, scripts.no_prefix, same=same, headers=CONTINUE)
            for name, same in (("same text", True), ("another text", False))
        ),
    ),
    Row("down for 60 s, steady traffic", streaming(always(well), came_back, steady=True)),
    Row(
        "accounting of a failover",
        (
            Case("stream", always(scripts.spending), billed_once, **_USAGE),
            Case("whole", always(scripts.spending), billed_once, streamed=False),
        ),
    ),
)
