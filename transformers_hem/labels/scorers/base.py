"""What a scorer is: two answers to one question in, how good each is out."""

from abc import ABC, abstractmethod
from collections.abc import MutableMapping
from typing import ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from predictors.errors import HEMError
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.answer_text import answered


class Pair(NamedTuple):
    """Higher is better; 0 or 1 unless the scorer is graded."""

    edge: float
    cloud: float


class NoScore(HEMError):
    """These two answers can't be scored; others can."""


class ScorerOptions(BaseModel):
    """Base of every scorer's options; values arrive as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scorer(ABC):
    """One instance scores many pairs, several at a time."""

    graded: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = True
    Options: ClassVar[type[ScorerOptions]] = ScorerOptions
    # Options that change no score: another run may have others.
    incidental: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: ScorerOptions) -> None:
        self.options = options

    async def start(self) -> None:  # noqa: B027 - most have nothing to load
        """Loads what scoring needs. Raises ConfigurationError naming what is missing."""

    def check(self, question: Question) -> None:  # noqa: B027 - most take any reference
        """Raises ValueError where this scorer can't score answers to the question."""

    def reads(self, question: Question, answer: str) -> bool:
        """Whether the scorer finds an answer in a model's text. Where it doesn't the score is that
        of a wrong answer, and `hem label` counts it as not read."""
        return bool(answered(answer).strip())

    @abstractmethod
    async def score(self, question: Question, edge: str, cloud: str) -> Pair:
        """Raises a HEMError where there is no score; it is never made up."""

    async def resume(
        self, question: Question, edge: str, cloud: str, parts: MutableMapping[str, Pair]
    ) -> Pair:
        """`score`, for scorers that pay for it in parts: they set each in `parts` as soon as they
        have it, where the next attempt at the question finds it."""
        return await self.score(question, edge, cloud)

    async def close(self) -> None:  # noqa: B027
        """Lets go of what `start` took."""


class ReferenceScorer(Scorer):
    """Scores each answer by itself, without a model's reasoning; of several references the best
    match counts."""

    @abstractmethod
    def against(self, answer: str, reference: str, question: Question) -> float:
        """How well one answer meets one reference."""

    async def score(self, question: Question, edge: str, cloud: str) -> Pair:
        return Pair(self._best(edge, question), self._best(cloud, question))

    def _best(self, answer: str, question: Question) -> float:
        answer = answered(answer)
        return max(self.against(answer, each, question) for each in question.references)
