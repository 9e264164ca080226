"""What Prometheus and traces see of a predictor's answers: how they ended, how long they took, and
their tokens, over V2 and OpenAI's API alike."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from prometheus_client import Counter, Histogram

from predictors.contract import CLOUD, EDGE, Answer
from predictors.contract.usage import Usage
from predictors.errors import HEMError
from predictors.metric_names import one_of
from predictors.tracing.genai import FIRST_CHUNK, model_call, used
from predictors.tracing.spans import Kind, Span, Value, span
from predictors.upstream.ledger.decision import DECISION

# From a token of a GPU to the longest answer of a CPU; as few as show where half of them are.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
TOKEN_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
UNDECIDED: Final = "none"  # nobody mined the request

Outcome = Literal["answered", "refused", "failed", "cancelled"]
_LABELS: Final = ("model_name", "route")
_ANSWERS = Counter(
    "hem_answers_total",
    "Answers by how they ended: answered; refused (a fault of the request); failed; cancelled.",
    (*_LABELS, "outcome"),
)
_WHOLE = Histogram("hem_answer_seconds", "Time to a whole answer.", _LABELS, buckets=SECONDS)
_FIRST = Histogram(
    "hem_answer_first_token_seconds", "Time to its first token.", _LABELS, buckets=SECONDS
)
_BETWEEN = Histogram(
    "hem_answer_inter_token_seconds",
    "Time from token to token: the mean of each answer.",
    _LABELS,
    buckets=TOKEN_SECONDS,
)
_TOKENS = Counter("hem_answer_tokens_total", "Tokens of answers.", (*_LABELS, "kind"))


@dataclass(slots=True)
class Call:
    """One call of the engine: what came of it."""

    span: Span
    rows: int
    began: float = field(default_factory=time.perf_counter)
    first: float | None = None
    answers: list[Answer] = field(default_factory=list)

    def begins(self) -> None:
        """Its first part is there."""
        if self.first is None:
            self.first = time.perf_counter() - self.began

    def gave(self, answers: Iterable[Answer | None]) -> None:
        self.answers += [answer for answer in answers if answer is not None]


class Answers:
    """Of one model. `remote`: its engine asks another server."""

    def __init__(self, model_name: str, *, remote: bool = False) -> None:
        self._model_name = model_name
        self._remote = remote

    @contextmanager
    def text(self, operation: str, rows: int = 1, *, streams: bool = False) -> Iterator[Call]:
        """Around a call of the engine for texts."""
        route = _route()
        more = {} if route == UNDECIDED else {"hem.route": route}
        begun = model_call(
            operation, self._model_name, remote=self._remote, streams=streams, more=more
        )
        with self._counted(begun, route, rows) as call:
            yield call

    @contextmanager
    def tensors(self) -> Iterator[Call]:
        """The same for tensors, which are not generated."""
        kind = Kind.CLIENT if self._remote else Kind.INTERNAL
        begun = span(f"infer {self._model_name}", {"hem.model": self._model_name}, kind)
        with self._counted(begun, _route(), 1) as call:
            yield call

    @contextmanager
    def _counted(self, begun: Span, route: str, rows: int) -> Iterator[Call]:
        labels = (self._model_name, route)
        outcome: Outcome = "failed"
        with begun as entered:
            call = Call(entered, rows)
            try:
                yield call
                outcome = "answered"
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            except HEMError as error:
                outcome = "refused" if error.status < 500 else "failed"
                raise
            finally:
                _ANSWERS.labels(*labels, outcome).inc(rows)
                if outcome == "answered":
                    _WHOLE.labels(*labels).observe(time.perf_counter() - call.began)
                _tell(call, labels)


def _tell(call: Call, labels: tuple[str, str]) -> None:
    for answer in call.answers:
        first = call.first if answer.time_to_first_token is None else answer.time_to_first_token
        if first is not None:
            _FIRST.labels(*labels).observe(first)
        if answer.inter_token_latency is not None:
            _BETWEEN.labels(*labels).observe(answer.inter_token_latency)
    usage = sum(map(_usage, call.answers), Usage())
    for kind, count in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
        if count:
            _TOKENS.labels(*labels, kind).inc(count)
    if call.span.recording:
        call.span.set(_described(call, usage))


def _described(call: Call, usage: Usage) -> dict[str, Value]:
    about: dict[str, Value] = dict(used(usage)) if call.answers else {}
    if call.first is not None:
        about[FIRST_CHUNK] = call.first
    if call.rows > 1:
        about["hem.rows"] = call.rows
    if len(call.answers) == 1:
        (answer,) = call.answers
        about["hem.cached"] = answer.cached
        if answer.served_by:
            about["gen_ai.response.model"] = answer.served_by
        if answer.time_to_first_token is not None:
            about["hem.time_to_first_token"] = answer.time_to_first_token
        if answer.inter_token_latency is not None:
            about["hem.inter_token_latency"] = answer.inter_token_latency
    return about


def _usage(answer: Answer) -> Usage:
    return Usage(
        answer.prompt_tokens or 0, answer.cached_tokens or 0, answer.completion_tokens or 0
    )


def _route() -> str:
    return one_of(DECISION.get().get("route"), (EDGE, CLOUD), UNDECIDED)
