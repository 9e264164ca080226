"""One call of a model: who was asked, what it used, and how it ended."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from predictors.contract import CLOUD, EDGE
from predictors.contract.names import SPECULATION, SPECULATION_REASON, SPECULATION_TELEMETRY
from predictors.contract.openai.fields import HEM_FIELD
from predictors.contract.usage import Usage, parse_usage
from predictors.errors import HEMError, InvalidRequest, Overloaded, UpstreamError
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
