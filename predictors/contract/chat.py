"""Chat, which V2 has not: a conversation, and an answer that comes bit by bit.

Both meet the rest of the contract in Query, whose text is the last user message, and in Answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from predictors.contract.answer import Answer

SYSTEM: Final = "system"
DEVELOPER: Final = "developer"  # what newer models of OpenAI's call system
USER: Final = "user"
ASSISTANT: Final = "assistant"
TOOL: Final = "tool"
ROLES: Final = (SYSTEM, DEVELOPER, USER, ASSISTANT, TOOL)

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `fields` are `name`, `tool_calls` and `tool_call_id` as OpenAI's
    API has them, those that are there."""

    role: str
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"role": self.role, "content": self.content, **self.fields}


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token of an answer, or of a prompt in front of it, as text: its log-probability in nats, of
    the model itself (before temperature and penalties), and the likeliest tokens at its place with
    theirs. The log-probability of a prompt's first token is None: nothing comes before it.

    `offset` is where it begins, in characters of the whole text; None: where the token before it
    ends.
    """

    text: str
    logprob: float | None
    top: tuple[tuple[str, float], ...] = ()
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What comes of an answer at once. The last one has the finish reason, and the `answer` as a
    whole: its text is that of all deltas in a row, and its telemetry is known only now. `served_by`
    is the model that answers, where that is another server's; `decision` is what a gateway says of
    its own, with the last."""

    text: str = ""
    reasoning: str = ""
    tokens: tuple[ScoredToken, ...] = ()
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    finish_reason: FinishReason | None = None
    answer: Answer | None = None
    served_by: str | None = None
    decision: Mapping[str, Any] = field(default_factory=dict)


def finish_of(answer: Answer, max_tokens: int) -> FinishReason:
    """The finish reason of an answer whose source gives none: `length` where it has as many tokens
    as it may have, else `stop`."""
    return "length" if (answer.completion_tokens or 0) >= max_tokens else "stop"
