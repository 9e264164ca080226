"""What goes to the cloud is counted once, where it is about to leave: `Guard.route` is asked
several times for a request, and must not count.

An attempt is admitted by all guards that count, or by none of them. At its end they learn what it
really used, where that is known.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
from prometheus_client import Counter

from predictors.contract import Sampling, parse_sampling
from predictors.contract.usage import Usage
from predictors.errors import HEMError

if TYPE_CHECKING:
    from transformers_hem.guards.base import Guard

# English has 4 to 5 bytes a token, and Chinese about 3: an estimate that is seldom too low.
BYTES_OF_A_TOKEN: Final = 3
TOKENS_OF_ANSWERS: Final = Sampling().max_tokens  # where a request does not limit them
_LIMITS: Final = ("max_completion_tokens", "max_tokens")

_REFUSED = Counter(
    "hem_guard_refusals_total",
    "Requests on their way to the cloud that a guard kept at the edge, or refused.",
    ["guard"],
)


def announce(guard: str) -> None:
    """For one that counts: a series that is not there yet has no rate."""
    _REFUSED.labels(guard)


class KeptAtEdge(HEMError):
    """A guard lets no more go to the cloud now; `guard` is its name."""

    status = 429
    told = True

    def __init__(self, message: str, guard: str = "") -> None:
        super().__init__(message)
        self.guard = guard


@dataclass(frozen=True, slots=True)
class Going:
    """One attempt that is about to go to the cloud. `usage` is estimated from above, `model` the
    cloud's (empty where nobody knows it), `forced`: the caller asks for the cloud, which no guard
    overrules that is not one of privacy."""

    client: str
    usage: Usage
    model: str = ""
    forced: bool = False


class Held(Protocol):
    """What one guard holds of an attempt."""

    def settle(self, usage: Usage | None, model: str) -> None:
        """Once, at its end: what it used; None where nobody knows, so that the estimate stands."""


class Admission:
    """Of one attempt, by all guards."""

    def __init__(self, held: Sequence[Held] = ()) -> None:
        self._held = held

    def settle(self, usage: Usage | None, model: str = "") -> None:
        held, self._held = self._held, ()
        for each in held:
            each.settle(usage, model)


async def admit(guards: Mapping[str, "Guard"], going: Going) -> Admission:
    """Raises KeptAtEdge, and then nothing is counted."""
    held: list[Held] = []
    for name, guard in guards.items():
        if not guard.counts:
            continue
        try:
            one = await guard.admit(going)
        except BaseException as error:
            Admission(held).settle(Usage())
            if isinstance(error, KeptAtEdge):
                error.guard = name
                _REFUSED.labels(name).inc()
            raise
        if one is not None:
            held.append(one)
    return Admission(held)


def usage_of_chat(body: Mapping[str, Any]) -> Usage:
    """An estimate from above, of a checked request of OpenAI's API."""
    asked = body.get("messages") or body.get("prompt")
    answers = (body.get("n") or 1) * _prompts(body.get("prompt"))
    most = next((body[name] for name in _LIMITS if body.get(name) is not None), TOKENS_OF_ANSWERS)
    tools = body.get("tools")
    size = len(orjson.dumps(asked)) + (len(orjson.dumps(tools)) if tools else 0)
    return Usage(_tokens(size), 0, most * answers)


def usage_of_texts(texts: Sequence[str], parameters: Mapping[str, Any]) -> Usage:
    """The same of a V2 request. Raises InvalidRequest for parameters that can't be."""
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    most = parse_sampling(parameters, Sampling()).max_tokens
    return Usage(_tokens(size), 0, most * len(texts))


def _tokens(size: int) -> int:
    return math.ceil(size / BYTES_OF_A_TOKEN)


def _prompts(prompt: Any) -> int:
    """A list of texts, or of lists of tokens, has an answer for each."""
    several = isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list)
    return len(prompt) if several else 1
