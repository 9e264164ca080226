"""What is told of a request once it has ended, without a word of what was asked or answered."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from predictors.contract import EDGE
from predictors.contract.usage import Usage
from predictors.errors import HEMError
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.chat import Chat
from transformers_hem.gateway.served import why_degraded
from transformers_hem.serving.decision import Decision

LEFT: Final = 499  # nginx's status of a client that went away
BROKEN: Final = 500


@dataclass(frozen=True, slots=True)
class Finished:
    """`way`: a chat of the gateway, or a V2 request, of which the decision alone is known here.
    `decision` is None where it failed before one. `status` is HTTP's, of an error also behind the
    first token, and 499 where the caller left. `by` and `model` are the side and the model that
    answered, `cost` is that of all attempts. `speculation` is how the answer came about where the
    edge's engine drafts for the cloud, by V2's names. `at` is a time.time(), the others are
    seconds."""

    way: Literal["chat", "v2"]
    decision: Decision | None
    seconds: float
    at: float
    status: int = 200
    by: Route | None = None
    model: str = ""
    usage: Usage | None = None
    first_token: float | None = None
    cost: float | None = None
    degraded: str = ""
    speculation: Mapping[str, Any] = field(default_factory=dict)


Observer = Callable[[Finished], Any]


def status_of(error: BaseException) -> int:
    """What an error that ends a chat counts as."""
    if isinstance(error, HEMError):
        return error.status
    return LEFT if isinstance(error, asyncio.CancelledError) else BROKEN


def finished_chat(chat: Chat, began: float, said_at: float | None, status: int) -> Finished:
    """`began` and `said_at` are of time.perf_counter()."""
    answer = chat.account.answer
    by, degraded = answer.route if answer else None, chat.degraded
    if answer is not None:
        by = EDGE if answer.stands_in else by
        degraded = why_degraded(chat, answer)
    return Finished(
        "chat",
        chat.decision,
        time.perf_counter() - began,
        time.time(),
        status,
        by,
        answer.model if answer else "",
        answer.counted() if answer else None,
        None if said_at is None else said_at - began,
        chat.account.total(),
        degraded,
        answer.speculation if answer else {},
    )


def finished_decision(decision: Decision, seconds: float) -> Finished:
    return Finished("v2", decision, seconds, time.time())
