"""What a draft side and a verify side say to each other, round by round.

A round is a POST of a Round to PATH, answered by a Verdict, both as JSON. The verify side remembers
each sequence: a round tells only what is new, the draft. Where it has forgotten it, as it was
started again or had no more room, it answers 409, and the draft side tells the whole sequence.

A verdict is what the sequence has from `at` on. So rounds may be told twice, late, in any order,
and several ahead: what is known is answered without a pass, and only what goes on behind it is
checked.

Several rounds under way: the second one has as `pending` what was drafted behind the last known
token and before its `at`. Say 10 tokens are known, and 1 to 9 are drafted:

    {at: 10, draft: [1, 2, 3, 4]}
    {at: 15, draft: [6, 7, 8, 9], pending: [1, 2, 3, 4, 5]}    5: a guess of the model's own one

Where the model says otherwise before `at`, the second verdict has no tokens, and costs no pass. By
the rule `rejection` what is drawn depends on the draft, and one round is under way at a time.
"""

import hashlib
from dataclasses import dataclass
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
SHOWN: Final = 16  # digits of a tokenizer's fingerprint, and of a model's identity
PARTS: Final = 10_000  # of a nat, and of a probability, that a verdict tells
_UNIT: Final = 1e-3  # how far probabilities may be from a sum of 1

Token = Annotated[int, Field(ge=0, lt=1 << 31)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Forgotten(HEMError):
    """The verify side does not know the sequence, or knows it at another length."""

    status = 409


class OtherModel(HEMError):
    """The verify side's model is not the one for which the drafts began."""

    status = 412


class OtherTokenizer(OtherModel):
    """It even numbers tokens otherwise."""


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Told(BaseModel):
    """By a verify side, which may be newer than who reads it, and say more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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
    """A sequence from its beginning: its `tokens`, the first `prompt` of which are the prompt, and
    none of which is a draft that no verdict has taken. Of an answer of `max_tokens` the verify side
    knows that nothing comes behind it. `tokenizer`: the first SHOWN digits of the fingerprint of
    the one that numbers them, `model`: those of the identity of the model that has to check them;
    empty: it is not told."""

    tokens: list[Token] = Field(min_length=1, max_length=MOST_TOKENS)
    prompt: int = Field(ge=1)
    drawing: Drawing
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    tokenizer: str = Field(default="", max_length=64)
    model: str = Field(default="", max_length=64)

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
    """Of the sequence `id`: the `draft` behind its first `at` tokens. The last ones of these may be
    `pending`: drafted, and told in earlier rounds that are still under way. Without `whole`, which
    is what comes before them, the verify side remembers it. `drawn_from`: of each drafted token,
    for sequences that are not coupled; without it each was certain."""

    id: str = Field(min_length=1, max_length=128)
    at: int = Field(ge=1)
    draft: list[Token] = Field(default=[], max_length=MOST_DRAFTED)
    pending: list[Token] = Field(default=[], max_length=MOST_DRAFTED)
    whole: Whole | None = None
    drawn_from: list[Likely] | None = None

    @property
    def known(self) -> int:
        """How many tokens both sides are sure of."""
        return self.at - len(self.pending)

    @property
    def told_tokens(self) -> int:
        """How many tokens it tells, those of the whole included."""
        whole = 0 if self.whole is None else len(self.whole.tokens)
        return whole + len(self.pending) + len(self.draft)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.known < 1:
            raise ValueError(f"at is {self.at}, but {len(self.pending)} tokens are pending")
        if self.whole is not None and len(self.whole.tokens) != self.known:
            raise ValueError(
                f"{self.known} tokens are known, but the whole has {len(self.whole.tokens)}"
            )
        if self.drawn_from is not None and len(self.drawn_from) != len(self.draft):
            raise ValueError("drawn_from is needed of each drafted token, or of none")
        return self

    def told(self, whole: Whole) -> "Round":
        """The same with the whole sequence, whose tokens are the `known` ones."""
        return self.model_copy(update={"whole": whole})

    def to_json(self) -> bytes:
        said = self.model_dump(exclude_defaults=True)
        for likely in said.get("drawn_from", ()):
            likely["probabilities"] = [_short(each) for each in likely["probabilities"]]
        return orjson.dumps(said)

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Raises InvalidRequest that names the field."""
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest(_first(error)) from None


class PassCost(_Told):
    """Seconds of a pass: `fixed`, and for each `row` and each `token` in it."""

    fixed: float = Field(ge=0, allow_inf_nan=False)
    row: float = Field(ge=0, allow_inf_nan=False)
    token: float = Field(ge=0, allow_inf_nan=False)

    def seconds(self, rows: int, tokens: int) -> float:
        """`tokens` of all rows together."""
        return self.fixed + self.row * rows + self.token * tokens

    def times(self, factor: float) -> "PassCost":
        """All of it, with as many digits as mean something."""
        parts = (self.fixed, self.row, self.token)
        fixed, row, token = (float(f"{part * factor:.3g}") for part in parts)
        return PassCost(fixed=fixed, row=row, token=token)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sequence has from the round's `at` on: the first `accepted` tokens of the draft are
    taken, and the model's own one stands behind them, the last of `tokens`; it lacks where a taken
    one ends the answer. No tokens at all: what was pending was not taken.

    `logprobs` (nats) and `margins` are of each. `cached`: how many tokens before the draft were not
    computed again. `passes` of the model were made for this round, the last one together with those
    of other sequences, `rows` in all. `seconds`: its share of computing them; `held`: from its
    arrival to the verdict's leaving, the wait for others included. `cost`: of a pass of late, told
    where the round had the whole sequence."""

    accepted: int
    tokens: list[int]
    logprobs: list[float]
    margins: list[float]
    cached: int
    passes: int = 1
    seconds: float = 0.0
    held: float = 0.0
    rows: int = 1
    cost: PassCost | None = None

    def to_json(self, round: Round) -> bytes:
        """Without what the draft side knows, and what is as usual."""
        return orjson.dumps(_Verdict.of(self, round).model_dump(exclude_defaults=True))

    @classmethod
    def parse(cls, body: Any, round: Round, vocabulary: int) -> Self:
        """Of an answer to `round`. Raises ValueError for what can't be one."""
        try:
            said = _Verdict.model_validate(body)
        except ValidationError as error:
            raise ValueError(_first(error)) from None
        taken = said.accepted
        if taken > len(round.draft):
            raise ValueError(f"it takes {taken} tokens, but {len(round.draft)} were drafted")
        own = [] if said.own is None else [said.own]
        if own and own[0] >= vocabulary:
            raise ValueError(f"token {own[0]} is none of {vocabulary}")
        tokens = [*round.draft[:taken], *own]
        if not len(tokens) == len(said.logprobs) == len(said.margins):
            raise ValueError("as many logprobs and margins as tokens are needed")
        if not tokens and not round.pending:
            raise ValueError("it has no token")
        return cls(
            accepted=taken,
            tokens=tokens,
            logprobs=[value / PARTS for value in said.logprobs],
            margins=[value / PARTS for value in said.margins],
            cached=round.at - 1 if said.cached is None else said.cached,
            passes=said.passes,
            seconds=said.seconds,
            held=said.held,
            rows=said.rows,
            cost=said.cost,
        )


class _Verdict(_Told):
    """On the wire: `own` is the model's own token, `logprobs` and `margins` are counted in PARTS,
    and `cached` is told where more than the last token before the draft was computed."""

    accepted: int = Field(0, ge=0, le=MOST_DRAFTED)
    own: Token | None = None
    logprobs: list[Annotated[int, Field(le=0)]] = []
    margins: list[Annotated[int, Field(ge=0, le=PARTS)]] = []
    cached: int | None = Field(None, ge=0)
    passes: int = Field(1, ge=0, le=MOST_TOKENS)
    seconds: Seconds = 0.0
    held: Seconds = 0.0
    rows: int = Field(1, ge=1)
    cost: PassCost | None = None

    @classmethod
    def of(cls, verdict: Verdict, round: Round) -> Self:
        behind = verdict.tokens[verdict.accepted :]
        return cls.model_construct(
            accepted=verdict.accepted,
            own=behind[0] if behind else None,
            logprobs=[int(value * PARTS - 0.5) for value in verdict.logprobs],
            margins=[int(value * PARTS + 0.5) for value in verdict.margins],
            cached=None if verdict.cached == round.at - 1 else verdict.cached,
            passes=verdict.passes,
            seconds=float(f"{verdict.seconds:.3g}"),
            held=float(f"{verdict.held:.3g}"),
            rows=verdict.rows,
            cost=verdict.cost,
        )


class VerifyModel(_Told):
    """What a verify side says of its model. `tokenizer`: see `tokenizer_fingerprint`. `identity`:
    another one gives other verdicts, by its weights, end tokens or room; empty: it can't be told.
    `slots`: how many sequences it remembers. `cost`: of a pass, of late. `name`: what
    its OpenAI API calls it."""

    name: str = ""
    tokenizer: str
    identity: str = ""
    vocabulary: int = Field(ge=1)
    end_tokens: list[Token]
    room: int = Field(ge=1)  # tokens of prompt and answer
    slots: int = Field(default=1, ge=1)
    cost: PassCost | None = None


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Of a tokenizer of transformers: equal ones number the same tokens alike."""
    rows = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


def _short(probability: float) -> float:
    return float(f"{probability:.6g}")


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
