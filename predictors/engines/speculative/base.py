"""The two seams of the engine: who drafts, and who checks.

A drafter of your own: a subclass of SpeculativeEngine that overrides `drafting`. A verifier of your
own: a class and one line in `verifiers`.
"""

from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any, Protocol

from predictors.contract import Sampling
from predictors.contract.speculation import Likely, Round, Verdict, VerifyModel, Whole
from predictors.errors import UpstreamError


class Replaced(UpstreamError):
    """Another model checks drafts now than the one that the answer began with."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """What comes next, as the drafter sees it.

    `seconds` is how long its model was at work, the sequence's beginning (a prompt) left out; None
    where that can't be told. `others`: at each place the token that it would have said next, where
    it can tell. `drawn_from`: what each token was drawn from, for the rule `rejection`; None where
    each was certain. `logprobs` (nats) and `margins` are the drafter's own, for answers that it
    ends alone; empty where it can't.
    """

    tokens: list[int]
    seconds: float | None = None
    others: list[int] | None = None
    drawn_from: list[Likely] | None = None
    logprobs: Rows[float] = ()
    margins: Rows[float] = ()


class DraftingModel(Protocol):
    """What a verifier looks at of the model that drafts (see huggingface.loading.Loaded)."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def vocabulary(self) -> int: ...

    @property
    def end_tokens(self) -> frozenset[int]: ...


class Drafter(Protocol):
    """Of many sequences side by side, on one event loop. `answers`: whether it is a model that can
    end an answer alone. `branches`: how many ways a sequence may go on that `branch` drafts for at
    once; 0: it has no `others`."""

    answers: bool
    branches: int

    @property
    def full(self) -> bool:
        """Whether a further sequence would get no drafts."""
        ...

    async def start(self) -> None: ...

    def begin(self, id: str) -> None:
        """A sequence of this name comes."""
        ...

    def end(self, id: str) -> None: ...

    async def place(self, id: str) -> None:
        """Waits until there is room for it: before that it may get no drafts."""
        ...

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        """At most `count` tokens behind `whole`; fewer, or none, where it has no more. It goes back
        by itself to what `whole` has in common with what was drafted before. Cancelled, it is as if
        it had not been asked. Raises EngineError."""
        ...

    async def branch(self, id: str, wholes: Rows[Whole], count: int) -> list[Drafted]:
        """The same for other ways on, each of which has a beginning in common with what `draft`
        was last asked of this sequence, and drafted; that is kept."""
        ...

    def cause_of_death(self) -> str | None: ...

    async def close(self) -> None: ...


class Verifier(Protocol):
    """One server that checks drafts. `most_rounds`: how many of a sequence may be under way."""

    most_rounds: int

    @property
    def url(self) -> str: ...

    async def model(self, near: DraftingModel) -> VerifyModel:
        """Of the server, for the drafts of `near`. Raises UpstreamError."""
        ...

    def takes(self, sampling: Sampling) -> str | None:
        """None, or why drafts for answers that are drawn so can't be checked: such a query is
        answered by the far server alone."""
        ...

    async def check(self, round: Round, whole: Whole, vocabulary: int) -> Verdict:
        """`whole` is what is known of the sequence, without what is pending: to be told where the
        server has forgotten it. A round may be told twice, and rounds in any order. Raises
        InvalidRequest, UpstreamError, Overloaded; Replaced, where that can be told."""
        ...

    async def close(self) -> None: ...
