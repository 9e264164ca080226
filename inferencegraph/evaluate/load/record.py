"""One request of a run: when, what came of it, and its row in a file."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Record:
    """Times are seconds of perf_counter: `intended` by the plan, `begun` when the harness turned to
    it, `sent` when its bytes left, `first` when the first part of the answer's text came (of a
    stream), `end` when all had come. A request of a closed loop is intended when it begins.

    `failure` is a status, a cause, or what is wrong with the answer; None where it was answered.
    `gaps`: seconds between the parts of a stream that have text. `tokens` are those that were
    made, None where the server doesn't say. `degraded`: why another side answered.
    """

    target: str
    level: float
    block: int
    question: int
    intended: float
    begun: float
    sent: float
    end: float
    status: int = 0
    first: float | None = None
    failure: str | None = None
    detail: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    route: str | None = None
    degraded: str = ""
    cached: bool = False
    sent_bytes: int = 0
    received_bytes: int = 0
    gaps: "array[float]" = field(default_factory=lambda: array("f"))

    @property
    def latency(self) -> float:
        """From when it was to leave: a harness, or a server, that falls behind does not hide it
        (coordinated omission: G. Tene, How NOT to Measure Latency, 2013)."""
        return self.end - self.intended

    def row(self, began: float) -> Mapping[str, Any]:
        """For a program; times in seconds since `began`. What is not known is left out."""
        times = {"intended": self.intended, "sent": self.sent, "first_token": self.first}
        known = {
            "target": self.target,
            "level": self.level,
            "block": self.block,
            "question": self.question,
            **{n: None if t is None else round(t - began, 6) for n, t in times.items()},
            "end": round(self.end - began, 6),
            "status": self.status,
            "failure": self.failure,
            "detail": self.detail or None,
            "tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "sent_bytes": self.sent_bytes,
            "received_bytes": self.received_bytes,
            "route": self.route,
            "degraded": self.degraded or None,
            "cached": self.cached or None,
        }
        return {name: value for name, value in known.items() if value is not None}
