"""One request of a caller."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from predictors.contract import CLOUD
from predictors.contract.openai.errors import InvalidField
from transformers_hem.algorithms.base import Batch, Leaving, Route
from transformers_hem.gateway.account import Account
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.first_answer import FirstAnswer
from transformers_hem.gateway.options import OnBreak
from transformers_hem.serving.decision import Decision

if TYPE_CHECKING:
    from transformers_hem.feedback.heard import Heard

REQUEST_ID: Final = "x-request-id"
ON_BREAK: Final = "x-hem-on-break"
DEADLINE: Final = "x-hem-deadline"


@dataclass(frozen=True, slots=True)
class Wishes:
    """Of the caller, by headers. `deadline`: the loop's time after which no answer is wanted."""

    deadline: float | None = None
    goes_on: bool = False


def read_wishes(headers: Mapping[str, str], most: OnBreak) -> Wishes:
    """`most` is what may be asked for. Raises InvalidField."""
    on_break = headers.get(ON_BREAK, "error")
    if on_break not in ("error", "continue"):
        raise InvalidField(f"{ON_BREAK} must be error or continue, not {on_break!r:.40}", ON_BREAK)
    deadline = None
    if (text := headers.get(DEADLINE)) is not None:
        deadline = asyncio.get_running_loop().time() + _seconds(text)
    return Wishes(deadline, "continue" == on_break == most)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        message = f"{DEADLINE} must be the seconds that the answer may take, not {text!r:.40}"
        raise InvalidField(message, DEADLINE)
    return seconds


@dataclass(frozen=True, slots=True)
class Draft:
    """The edge's whole answer, which is there before anything is decided."""

    answer: FirstAnswer
    attempt: Attempt


@dataclass(slots=True)
class Chat:
    """Its path and body, what is mined of it, the side that the caller forces, what it costs, the
    conversation that it belongs to, all that would leave the edge, who calls, and the edge's
    answer where that is mined. `asked` is
    what a strategy asks the cloud in place of the body. `degraded` is why
    the cloud failed for which the edge stands in. `insists`: all sides that may answer are believed
    to be down, and asked nevertheless. `private`: something in it is. `heard`: what its caller got,
    where that may be compared; `drawn`, in [0, 1): both
    sides are, where that is below the share of the one that answered; see `feedback.shadow`."""

    path: str
    body: Mapping[str, Any]
    texts: tuple[str, ...]
    prefer: Route | None
    headers: Mapping[str, str]
    wishes: Wishes
    account: Account
    conversation: bytes | None
    leaving: Leaving
    client: str = ""
    draft: Draft | None = None
    asked: Mapping[str, Any] | None = None
    decision: Decision | None = None
    degraded: str = ""
    insists: bool = False
    private: bool = False
    heard: "Heard | None" = None
    drawn: float = 1.0

    @property
    def batch(self) -> Batch:
        return Batch(len(self.texts), self.texts, leaving=self.leaving, client=self.client)

    def body_for(self, route: Route) -> Mapping[str, Any]:
        return self.asked if route == CLOUD and self.asked is not None else self.body

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream"))
