"""What each call of a model used and cost, whether or not its answer reached the caller."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from prometheus_client import Counter, Histogram

from predictors.contract import CLOUD, EDGE
from predictors.contract.names import SPECULATION, SPECULATION_REASON, SPECULATION_TELEMETRY
from predictors.contract.openai.fields import HEM_FIELD
from predictors.contract.usage import Usage, parse_usage
from predictors.errors import HEMError, InvalidRequest, Overloaded, UpstreamError
from predictors.metric_names import Names
from predictors.prices import Prices
from predictors.serving.answers import SECONDS, TOKEN_SECONDS
from predictors.tracing.genai import FIRST_CHUNK, model_call, operation_of, used as used_tokens
from predictors.tracing.spans import Value
from predictors.upstream.ledger.sent import used
from transformers_hem.algorithms.base import Route
from transformers_hem.guards.admission import Admission, KeptAtEdge

# thrown_away: a draft that was made, and that the caller did not get. escalated: the caller got its
# beginning, and the other side went on.
Outcome = Literal["answered", "thrown_away", "escalated", "failed", "cancelled"]
DECIDED: Final[tuple[Outcome, ...]] = ("answered", "escalated")  # whatever follows

CONTINUES: Final = "continues"  # of the object beside an answer
UNKNOWN: Final = "unknown"  # the model of a server that did not tell its name

_LABELS: Final = ("model", "route", "outcome")
_ATTEMPTS = Counter("hem_attempts_total", "Calls of models by the gateway.", _LABELS)
_TOKENS = Counter("hem_tokens_total", "Their tokens, by their kind.", (*_LABELS, "kind"))
_COST = Counter("hem_cost_total", "What they cost, by the price file.", (*_LABELS, "currency"))


_REQUEST_LABELS: Final = ("model", "route")
_WHOLE = Histogram(
    "hem_gateway_seconds",
    "From a request to the end of its answer, by the model that gave it.",
    _REQUEST_LABELS,
    buckets=SECONDS,
)
_FIRST = Histogram(
    "hem_gateway_first_token_seconds",
    "From a request to the first token of its stream, by the model that ended it.",
    _REQUEST_LABELS,
    buckets=SECONDS,
)
_BETWEEN = Histogram(
    "hem_gateway_inter_token_seconds",
    "From token to token of a stream: the mean of each answer.",
    _REQUEST_LABELS,
    buckets=TOKEN_SECONDS,
)
_SAVED = Counter(
    "hem_saved_cost_total",
    "What answers of the edge would have cost by the price of the cloud's model.",
    ["currency"],
)
_MODELS: Final = Names()  # servers tell them


@dataclass(slots=True)
class Attempt:
    """One call of a model. `asked` is the model's name in the request, `served` that in the answer.

    `usage` is None until the server tells it, `parts` are what came of the text until then. `why`
    is the status or the cause of one that failed, `unused`: before a model did anything.
    `admission` is what guards hold of one to the cloud. `redacted`: how many private items of each
    kind it had placeholders for, `verdicts` what guards of privacy said of it, for the ledger.
    `speculation`: how the answer came about, where a small model drafts for a large one, of several
    choices of one that it had to end; `continues`: the side that had begun that.
    """

    route: Route
    asked: str = ""
    served: str = ""
    usage: Usage | None = None
    parts: int = 0
    outcome: Outcome = "thrown_away"
    why: str = ""
    admission: Admission | None = None
    unused: bool = False
    redacted: Mapping[str, int] = field(default_factory=dict)
    verdicts: str = ""
    speculation: Mapping[str, Any] = field(default_factory=dict)
    continues: Route | None = None
    streams: bool = False
    asked_at: float = 0.0  # time.perf_counter(), as are those when its caller got a part of it
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def model(self) -> str:
        return self.served or self.asked or UNKNOWN

    @property
    def stands_in(self) -> bool:
        """Whether the edge's small model answered what was the cloud's, or ended it."""
        return self.route == CLOUD and self.speculation.get(SPECULATION) == EDGE

    def read(self, body: Mapping[str, Any]) -> None:
        """Of a whole answer, or of one event."""
        if model := body.get("model"):
            self.served = str(model)
        told = body.get(HEM_FIELD)
        if isinstance(told, dict) and SPECULATION in told and not self.stands_in:
            self.speculation = speculation_of(told)
            self.continues = CLOUD if told.get(CONTINUES) == CLOUD else None
        if usage := body.get("usage"):
            self.usage = parse_usage(usage) or self.usage
        if self.usage is not None:
            used(self.served, self.usage.prompt_tokens, self.usage.completion_tokens)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Around the call: how it ends, unless it has answered by then."""
        outcome: Outcome = "failed"
        try:
            yield
            outcome = self.outcome
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except HEMError as error:
            self.unused = _is_unused(error)
            self.why = error.short if isinstance(error, UpstreamError) else str(error.status)
            raise
        finally:
            if self.outcome not in DECIDED:
                self.outcome = outcome

    @contextmanager
    def traced(self, path: str, *, streams: bool) -> Iterator[None]:
        """Around the call, as a span; its model's name is known by then."""
        self.streams, self.asked_at = streams, time.perf_counter()
        about = {"hem.route": self.route}
        operation = operation_of(path)
        with model_call(operation, self.asked, remote=True, streams=streams, more=about) as span:
            try:
                yield
            finally:
                if span.recording:
                    span.set(self._described())

    def spoke(self) -> None:
        """The caller is about to get a part of it."""
        self.last_at = time.perf_counter()
        self.first_at = self.first_at or self.last_at

    def _described(self) -> dict[str, Value]:
        about: dict[str, Value] = {}
        if self.outcome in DECIDED:  # of a draft it is not known yet
            about["hem.outcome"] = self.outcome
        if self.served:
            about["gen_ai.response.model"] = self.served
        if self.usage is not None:
            about.update(used_tokens(self.usage))
        if self.streams and self.first_at:
            about[FIRST_CHUNK] = self.first_at - self.asked_at
        return about

    def failure(self) -> dict[str, Any]:
        """`tokens` are those that came before it failed, as far as it is known."""
        tokens = self.counted().completion_tokens
        about = {"route": self.route, "model": self.model, "why": self.why}
        return {**about, **({"tokens": tokens} if tokens else {})}

    def settle(self) -> None:
        """With guards that count. What nobody told stays as it was estimated."""
        if self.admission is not None:
            usage = Usage() if self.usage is None and self.unused and not self.parts else self.usage
            self.admission.settle(usage, self.model)

    def counted(self) -> Usage:
        """Where the server did not tell, each part of the text counts as one token."""
        return self.usage or Usage(completion_tokens=self.parts)


def speculation_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """By V2's names, of the object beside an answer of the engine that drafts."""
    reason = {SPECULATION_REASON: told["reason"]} if told.get("reason") else {}
    numbers = {name: told[name] for name in SPECULATION_TELEMETRY if name in told}
    return {SPECULATION: told[SPECULATION], **reason, **numbers}


def _is_unused(error: HEMError) -> bool:
    """Whether it was not sent, or refused at once: nobody bills that. 502 and 504 of an uplink say
    that its cloud may have answered."""
    if isinstance(error, UpstreamError):
        answered = error.answered or 0
        return error.unsent or 400 <= answered < 500 or answered == 503
    return isinstance(error, InvalidRequest | Overloaded | KeptAtEdge)


@dataclass(slots=True)
class CloudModel:
    """Its names: as it is asked for, and as its last answer said."""

    asked: str = ""
    served: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.served, self.asked)))

    def learn(self, attempt: Attempt) -> None:
        if attempt.route == CLOUD and not attempt.stands_in:
            self.asked = attempt.asked or self.asked
            self.served = attempt.served or self.served


class Account:
    """Of one request of a caller: all attempts to answer it."""

    def __init__(self, prices: Prices | None, cloud: CloudModel | None = None) -> None:
        self.prices = self._prices = prices
        self._cloud = cloud or CloudModel()
        self._began = time.perf_counter()
        self._attempts: list[Attempt] = []

    def begin(self, route: Route) -> Attempt:
        attempt = Attempt(route)
        self._attempts.append(attempt)
        return attempt

    def withdraw(self, attempt: Attempt) -> None:
        """One that was not made."""
        self._attempts.remove(attempt)

    def answered_by(self, route: Route) -> bool:
        return any(each.outcome == "answered" and each.route == route for each in self._attempts)

    @property
    def in_parts(self) -> bool:
        """Whether the caller has got parts of several attempts."""
        return sum(each.first_at > 0 for each in self._attempts) > 1

    @property
    def answer(self) -> Attempt | None:
        """The one that the caller got the end of; None where none has answered."""
        answered = [each for each in self._attempts if each.outcome == "answered"]
        return answered[-1] if answered else None

    def total(self) -> float | None:
        """What all attempts cost, as far as it is known; None where nothing is."""
        costs = [self._cost(each, each.usage) for each in self._attempts]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None

    def as_json(self, answering: Attempt) -> dict[str, Any]:
        """What the answer costs, and what was spent beside it, where it is known."""
        about: dict[str, Any] = {}
        cost = self._cost(answering, answering.usage)
        if cost is not None:
            about["cost"] = cost
        begun = [each for each in self._attempts if each.outcome == "escalated"]
        if began := self._used(begun):
            about["began"] = began[0]
        if spent := self._spent(answering):
            about["spent"] = spent
        if redacted := [each.redacted for each in self._attempts if each.redacted]:
            about["redacted"] = dict(redacted[-1])
        if failed := [each.failure() for each in self._attempts if each.outcome == "failed"]:
            about["failed"] = failed
        if self._prices and ("cost" in about or any("cost" in each for each in began + spent)):
            about["currency"] = self._prices.currency
        return about

    def _spent(self, answering: Attempt) -> list[dict[str, Any]]:
        """One entry for each model whose drafts were thrown away."""
        return self._used(
            [
                each
                for each in self._attempts
                if each is not answering and each.outcome == "thrown_away"
            ]
        )

    def _used(self, attempts: list[Attempt]) -> list[dict[str, Any]]:
        """One entry for each model."""
        drafts: dict[tuple[Route, str], list[Attempt]] = defaultdict(list)
        for each in attempts:
            if each.usage or each.parts:
                drafts[each.route, each.model].append(each)
        used = []
        for (route, model), made in drafts.items():
            usage = sum((each.counted() for each in made), Usage())
            cost = self._cost(made[0], usage) if all(each.usage for each in made) else None
            used.append(
                {
                    "route": route,
                    "model": model,
                    "prompt_tokens": usage.prompt_tokens,
                    "cached_tokens": usage.cached_tokens,
                    "completion_tokens": usage.completion_tokens,
                    **({} if cost is None else {"cost": cost}),
                }
            )
        return used

    def _cost(self, attempt: Attempt, usage: Usage | None) -> float | None:
        if self._prices is None or usage is None:
            return None
        return self._prices.cost(usage, attempt.served, attempt.asked)

    def close(self) -> None:
        """To Prometheus, once the request has ended, however it did."""
        for attempt in self._attempts:
            attempt.settle()
            self._cloud.learn(attempt)
            model = _MODELS.bounded(attempt.model)
            labels = (model, attempt.route, attempt.outcome)
            usage = attempt.counted()
            _ATTEMPTS.labels(*labels).inc()
            tokens = {
                "input": usage.prompt_tokens - usage.cached_tokens,
                "cached_input": usage.cached_tokens,
                "output": usage.completion_tokens,
            }
            for kind, count in tokens.items():
                if count:
                    _TOKENS.labels(*labels, kind).inc(count)
            if self._prices and (cost := self._cost(attempt, usage)):
                _COST.labels(*labels, self._prices.currency).inc(cost)
            if attempt.outcome == "answered":
                self._observe(attempt, usage, (model, attempt.route))

    def _observe(self, answered: Attempt, usage: Usage, labels: tuple[str, str]) -> None:
        """Of the one answer that the caller got to its end."""
        _WHOLE.labels(*labels).observe(time.perf_counter() - self._began)
        if answered.streams and answered.first_at:
            firsts = [each.first_at for each in self._attempts if each.first_at]
            _FIRST.labels(*labels).observe(min(firsts) - self._began)
            if usage.completion_tokens > 1:
                between = (answered.last_at - answered.first_at) / (usage.completion_tokens - 1)
                _BETWEEN.labels(*labels).observe(between)
        if self._prices and answered.route == EDGE:
            saved = self._prices.cost(usage, *self._cloud.names)
            if saved:
                _SAVED.labels(self._prices.currency).inc(saved)
