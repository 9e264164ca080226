"""What a draft side and a verify side say to each other, round by round.

A round is a POST of a Round to PATH, answered by a Verdict, both as JSON. The verify side remembers
each sequence: a round tells only what is new, the draft. Where it has forgotten it, as it was
started again or had no more room, it answers 409, and the draft side tells the whole sequence.
"""

import hashlib
from typing import Annotated, Any, Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from predictors.contract.query import (
    LOWEST_REPETITION_PENALTY,
    Sampling,
)
from predictors.errors import HEMError, InvalidRequest

PATH: Final = "/v1/speculative/rounds"
MODEL_PATH: Final = "/v1/speculative/model"
MOST_DRAFTED: Final = 64
MOST_TOKENS: Final = 1 << 20
_UNIT: Final = 1e-3  # how far probabilities may be from a sum of 1

Token = Annotated[int, Field(ge=0, lt=1 << 31)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Forgotten(HEMError):
    """The verify side does not know the sequence, or knows it at another length."""

    status = 409


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Drawing(_Said):
    """How an answer is drawn, as in Sampling. `key` is that of its random numbers."""

    temperature: float = Field(ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(gt=0, le=1, allow_inf_nan=False)
    repetition_penalty: float = Field(ge=LOWEST_REPETITION_PENALTY, le=10, allow_inf_nan=False)
    presence_penalty: float = Field(0.0, ge=-2, le=2, allow_inf_nan=False)
    frequency_penalty: float = Field(0.0, ge=-2, le=2, allow_inf_nan=False)
    key: int = Field(ge=0, lt=1 << 64)
    coupled: bool = True

    @classmethod
    def of(cls, sampling: Sampling, key: int, *, coupled: bool) -> Self:
        given = {name: getattr(sampling, name) for name in _OF_SAMPLING}
        return cls(**given, key=key, coupled=coupled or sampling.greedy)

    def sampling(self) -> Sampling:
        return Sampling(**{name: getattr(self, name) for name in _OF_SAMPLING})


_OF_SAMPLING: Final = tuple(name for name in Drawing.model_fields if name not in ("key", "coupled"))


class Whole(_Said):
    """A sequence from its beginning: its `tokens`, the first `prompt` of which are the prompt."""

    tokens: list[Token] = Field(min_length=1, max_length=MOST_TOKENS)
    prompt: int = Field(ge=1)
    drawing: Drawing

    @model_validator(mode="after")
    def _has_a_prompt(self) -> Self:
        if self.prompt > len(self.tokens):
            raise ValueError(f"a prompt of {self.prompt} tokens among {len(self.tokens)}")
        return self


class Likely(_Said):
    """What a drafted token was drawn from: tokens, and the probability of each."""

    tokens: list[Token] = Field(min_length=1)
    probabilities: list[Probability]

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        if len(self.tokens) != len(self.probabilities):
            raise ValueError("as many probabilities as tokens are needed")
        if abs(sum(self.probabilities) - 1) > _UNIT:
            raise ValueError(f"they sum to {sum(self.probabilities):g}, not to 1")
        return self


class Round(_Said):
    """Of the sequence `id`, of which both sides know `at` tokens: the `draft` behind them. Without
    `whole` the verify side remembers it. `drawn_from`: of each drafted token, for sequences that
    are not coupled; without it each was certain."""

    id: str = Field(min_length=1, max_length=128)
    at: int = Field(ge=1)
    draft: list[Token] = Field(max_length=MOST_DRAFTED)
    whole: Whole | None = None
    drawn_from: list[Likely] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.whole is not None and len(self.whole.tokens) != self.at:
            raise ValueError(f"at is {self.at}, but the whole has {len(self.whole.tokens)} tokens")
        if self.drawn_from is not None and len(self.drawn_from) != len(self.draft):
            raise ValueError("drawn_from is needed of each drafted token, or of none")
        return self

    def told(self, whole: Whole) -> "Round":
        """The same with the whole sequence."""
        return self.model_copy(update={"whole": whole})

    def to_json(self) -> bytes:
        return orjson.dumps(self.model_dump(exclude_none=True))

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Raises InvalidRequest that names the field."""
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest(_first(error)) from None


class Verdict(_Said):
    """The first `accepted` tokens of the draft are taken, and the model's own one stands behind
    them, the last of `tokens`; it lacks where a taken one ends the answer. `logprobs` (nats) and
    `margins` are of each. `cached`: how many tokens before the draft were not computed again."""

    accepted: int = Field(ge=0, le=MOST_DRAFTED)
    tokens: list[Token] = Field(min_length=1, max_length=MOST_DRAFTED + 1)
    logprobs: list[Annotated[float, Field(le=0, allow_inf_nan=False)]]
    margins: list[Probability]
    cached: int = Field(ge=0)

    @model_validator(mode="after")
    def _counts(self) -> Self:
        count = len(self.tokens)
        if not count == len(self.logprobs) == len(self.margins):
            raise ValueError("as many logprobs and margins as tokens are needed")
        if not self.accepted <= count <= self.accepted + 1:
            raise ValueError(f"{self.accepted} are taken, but there are {count} tokens")
        return self

    @classmethod
    def parse(cls, body: Any, round: Round, vocabulary: int) -> Self:
        """Of an answer to `round`. Raises ValueError for what can't be one."""
        try:
            verdict = cls.model_validate(body)
        except ValidationError as error:
            raise ValueError(_first(error)) from None
        taken = verdict.accepted
        if verdict.tokens[:taken] != round.draft[:taken] or taken > len(round.draft):
            raise ValueError("it takes other tokens than were drafted")
        if max(verdict.tokens) >= vocabulary:
            raise ValueError(f"token {max(verdict.tokens)} is none of {vocabulary}")
        return verdict


class VerifyModel(_Said):
    """What a verify side says of its model. `tokenizer`: see `tokenizer_fingerprint`."""

    tokenizer: str
    vocabulary: int = Field(ge=1)
    end_tokens: list[Token]
    room: int = Field(ge=1)  # tokens of prompt and answer


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Of a tokenizer of transformers: equal ones number the same tokens alike."""
    rows = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
