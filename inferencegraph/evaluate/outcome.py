"""What became of one question: who answered, how well, how fast, and what it took."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from inferencegraph.evaluate.hints import cloud_failed
from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    PROBABILITIES,
    SERVED_BY,
    Answer,
    is_number,
    parse_answers,
)
from predictors.contract.names import SPECULATION, SPECULATION_REASON
from predictors.upstream.ask import read_id

SIGNALS: Final = ("mean_logprob", "min_logprob", "mean_margin")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`route` is the decision; `seconds` are the client's, until the whole answer was there;
    `quality` is the scorer's, higher is better. A question that failed, or that the edge answered
    in place of a cloud that failed, has an `error` and no quality: it counts as the worst answer.

    Tokens are those that each side took, None where it tells none. `request_bytes` and
    `response_bytes` are the client's bodies. `edge_row`: what the edge's answer tells a router that
    mines the answer, as rows of `hem label` have it. `speculation`: who answered really, where the
    edge's engine asks the cloud itself, and why that was not the cloud. `request_id`: by which
    feedback names the answer.
    """

    route: str | None = None
    text: str | None = None
    quality: float | None = None
    error: str | None = None
    status: int | None = None
    served_by: str | None = None
    reason: str | None = None
    difficulty: float | None = None
    seconds: float | None = None
    time_to_first_token: float | None = None
    inter_token_latency: float | None = None
    edge_prompt_tokens: int | None = None
    edge_completion_tokens: int | None = None
    cloud_prompt_tokens: int | None = None
    cloud_completion_tokens: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    edge_row: Mapping[str, Any] = field(default_factory=dict)
    speculation: str | None = None
    speculation_reason: str | None = None
    request_id: str | None = None

    def failed(self, error: str) -> "Outcome":
        """The same question as one that was not answered."""
        return replace(self, text=None, quality=None, error=error)

    def degraded(self, failure: str = "") -> "Outcome":
        """The same question as one that the cloud failed to answer; `failure` says why."""
        return self.failed(f"degraded: {cloud_failed(failure)}")

    def is_stand_in(self, edge: Collection[str | None]) -> bool:
        """Whether the edge's model, by one of these names, answered what was the cloud's."""
        if self.error is not None or self.route != CLOUD:
            return False
        return self.served_by in edge if self.speculation is None else self.speculation == EDGE

    def stored(self) -> dict[str, Any]:
        """For a file; what is not known is left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {})}


def tokens_of(side: str, answer: Answer) -> dict[str, Any]:
    """The answer's tokens as fields of an Outcome that `side` answered."""
    return {
        f"{side}_prompt_tokens": answer.prompt_tokens,
        f"{side}_completion_tokens": answer.completion_tokens,
    }


def speculation_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """Of V2's parameters, or of the gateway's object, as fields of an Outcome."""
    return {name: told.get(name) for name in (SPECULATION, SPECULATION_REASON)}


def told_of(answer: Answer) -> dict[str, Any]:
    """What an edge's answer tells routers that mine it, as a row of `hem label` has it."""
    signals = {f"edge_{name}": getattr(answer, name) for name in SIGNALS}
    known = {name: value for name, value in signals.items() if value is not None}
    return {"edge_answer": answer.text, **known}


def read_outcome(response: Mapping[str, Any]) -> Outcome:
    """Of one row of a V2 response; the answer of a model that classifies is the number of the
    likeliest class. Raises ValueError for what is not a V2 response with text or probabilities."""
    parameters = response.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError("no V2 response: its parameters are not an object")
    difficulty = parameters.get(HEM_SCORE)
    decision: dict[str, Any] = {
        "route": parameters.get(HEM_ROUTE),
        "reason": parameters.get(HEM_REASON),
        "difficulty": difficulty if is_number(difficulty) else None,
        "request_id": read_id(response),
        **speculation_of(parameters),
    }
    row = _probabilities(response)
    if row is not None:
        likeliest = max(range(len(row)), key=row.__getitem__)
        served_by = parameters.get(SERVED_BY) or response.get("model_name")
        told = {PROBABILITIES: row}
        return Outcome(text=str(likeliest), served_by=served_by, edge_row=told, **decision)
    answers = parse_answers(response)
    if not answers:
        raise ValueError("no V2 response: it has no rows")
    answer = answers[0]
    side = CLOUD if decision["route"] == CLOUD else EDGE
    return Outcome(
        text=answer.text,
        served_by=answer.served_by,
        time_to_first_token=answer.time_to_first_token,
        inter_token_latency=answer.inter_token_latency,
        edge_row=told_of(answer) if side == EDGE else {},
        **tokens_of(side, answer),
        **decision,
    )


def _probabilities(response: Mapping[str, Any]) -> list[float] | None:
    """Those of the one row; None where the response has no such output."""
    outputs = response.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("name") == PROBABILITIES:
            data = output.get("data")
            if not isinstance(data, list) or not data or not all(map(is_number, data)):
                raise ValueError(f"no V2 response: {PROBABILITIES} is not a list of numbers")
            return data
    return None
