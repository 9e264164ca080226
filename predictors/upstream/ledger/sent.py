"""What is known of the attempt under way, and the call that it belongs to.

Light: who reads answers tells it what they cost.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from predictors.errors import HEMError
from predictors.upstream.attempt import Read, Refusal, T
from predictors.upstream.client import Response


@dataclass(slots=True)
class Call:
    """All attempts of one call: how many there were, and the number of the first one's line."""

    first: int | None = None
    attempts: int = 0


# The call that attempts belong to; None for one that is made beside all calls: a probe.
CALL: ContextVar[Call | None] = ContextVar("call", default=None)


@dataclass(slots=True)
class Sent:
    """One attempt, and what is known of its end. `status` is HTTP's, or the name of gRPC's."""

    status: int | str | None = None
    received: int = 0
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    began: float = field(default_factory=time.perf_counter)

    def reading(self, read: Read[T]) -> Read[T]:
        """`read`, of whose answer this learns the status."""

        async def answered(response: Response, began: float) -> T:
            self.status = response.status_code
            return await read(response, began)

        return answered

    def refusing(self, refused: Callable[[Refusal], HEMError]) -> Callable[[Refusal], HEMError]:
        """The same of a refusal."""

        def refuse(refusal: Refusal) -> HEMError:
            self.status = refusal.shown or refusal.status
            return refused(refusal)

        return refuse


SENT: ContextVar[Sent | None] = ContextVar("sent", default=None)


def used(model: str | None, prompt_tokens: int | None, completion_tokens: int | None) -> None:
    """Of the attempt under way: tokens, as the answer tells them."""
    sent = SENT.get()
    if sent is not None:
        sent.model = model or sent.model
        sent.prompt_tokens = prompt_tokens or sent.prompt_tokens
        sent.completion_tokens = completion_tokens or sent.completion_tokens
