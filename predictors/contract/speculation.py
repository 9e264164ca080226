"""What a draft side and a verify side say to each other, round by round.

A round is a POST of JSON to PATH. The verify side remembers each sequence: a round tells only what
is new, the draft. Where it has forgotten it, as it was started again or had no more room, it answers
409, and the draft side tells the whole sequence again.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from predictors.contract.openai.errors import InvalidField
from predictors.contract.query import Sampling
from predictors.errors import HEMError, InvalidRequest

PATH: Final = "/v1/speculative/rounds"
MODEL_PATH: Final = "/v1/speculative/model"
MOST_DRAFTED: Final = 64
_SAMPLING: Final = (
    "temperature",
    "top_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)


class Forgotten(HEMError):
    """The verify side does not know the sequence, or knows it at another length."""

    status = 409


@dataclass(frozen=True, slots=True)
class Whole:
    """A sequence from its beginning: its `tokens`, of which the first `prompt` are the prompt, and
    how its answer is drawn. `key` is that of its random numbers."""

    tokens: list[int]
    prompt: int
    sampling: Sampling
    key: int
    coupled: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """Of the sequence `id`, of which both sides know `at` tokens: the `draft` behind them. Without
    `whole` the verify side remembers it. `probabilities`: of each drafted token, the tokens that
    could have been drafted and how likely each was, for sequences that are not coupled."""

    id: str
    at: int
    draft: list[int]
    whole: Whole | None = None
    probabilities: list[tuple[list[int], list[float]]] | None = None

    def told(self, whole: Whole) -> "Round":
        """The same with the whole sequence."""
        return replace(self, whole=whole)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first `accepted` tokens of the draft are taken, and the model's own one stands behind
    them: the last of `tokens`. `logprobs` (nats) and `margins` are of each. `cached`: how many
    tokens before the draft did not have to be computed again."""

    accepted: int
    tokens: list[int]
    logprobs: list[float]
    margins: list[float]
    cached: int
