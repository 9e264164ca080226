"""What all calls of models for one request used and cost, whether or not an answer reached the
caller."""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import Counter, Histogram

from predictors.contract import CLOUD, EDGE
from predictors.contract.usage import Usage
from predictors.metric_names import Names
from predictors.prices import Prices
from predictors.serving.answers import SECONDS, TOKEN_SECONDS
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.attempt import Attempt

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
