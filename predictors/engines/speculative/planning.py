"""Who answers a query, and why: by speculation, the far server alone, or the small model alone."""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from predictors.contract import EDGE, Query
from predictors.contract.names import HEM_ROUTE
from predictors.contract.openai.errors import InvalidField
from predictors.contract.speculation import VerifyModel, tokenizer_fingerprint
from predictors.engines.speculative.base import Verifier
from predictors.engines.speculative.drafting import Drafting
from predictors.engines.speculative.policy import CLOUD, SPECULATIVE, Policy, Way
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.errors import (
    ContextTooLong,
    HEMError,
    Overloaded,
    UpstreamError,
    first_line,
)
from predictors.upstream.ledger.decision import DECISION, forces_cloud

if TYPE_CHECKING:
    from predictors.engines.huggingface.sequence import Sequence

NOBODY: Final = (
    f"{HEM_ROUTE} is {EDGE!r}, and nobody here answers alone: --drafter 'prompt-lookup' has no "
    "model; set --drafter model, with a small model in --model_dir, or ask for the cloud's answer"
)
REPLACED: Final = "another model came in the place of the one that checked"
FAILURES: Final = (UpstreamError, Overloaded)  # of the link, or of the server behind it


@dataclass(frozen=True, slots=True)
class Plan:
    """`sequence` is None where the far server answers alone. `chosen`: by the policy, which learns
    from it."""

    way: str
    reason: str = ""
    sequence: "Sequence | None" = None
    far: VerifyModel | None = None
    chosen: Way | None = None


class Planner:
    def __init__(
        self, settings: SpeculativeSettings, drafting: Drafting, verifier: Verifier, policy: Policy
    ) -> None:
        self._settings = settings
        self._drafting = drafting
        self._verifier = verifier
        self._policy = policy
        self._far: VerifyModel | None = None
        self._failed: HEMError | None = None  # when it was asked last
        self._other = ""  # why the far model's tokens are not ours
        self._learning = asyncio.Lock()

    async def plan(self, query: Query, *, anew: bool = False) -> Plan:
        """`anew`: another model has come while the answer was drafted for. It may not be the last:
        while servers are replaced one by one each of several answers some of the calls. So the far
        server answers alone, by one call. Raises HEMError."""
        if DECISION.get().get("route") == EDGE:
            return await self._edge(query)
        if reason := unspeculated(query):
            return Plan(CLOUD, reason)
        if anew and self._settings.policy != "always":
            return Plan(CLOUD, REPLACED)
        try:
            far = await self._far_model()
        except FAILURES as error:
            if not self.finishes(query):
                raise
            return Plan(EDGE, first_line(error), await self.own(query))
        if self._other:
            if self._settings.policy == "always":
                raise UpstreamError(self._other)
            return Plan(CLOUD, self._other)
        if untaken := self._verifier.takes(query.sampling):
            return Plan(CLOUD, untaken)
        sequence = await self._sequence(query, far)
        if sequence is None:
            return Plan(CLOUD, f"it may be longer than the {far.room} tokens that are checked")
        if self._settings.policy != "always" and self._drafting.drafter.full:
            return Plan(CLOUD, "as many answers are drafted as may be at once")
        way, reason = self._policy.way()
        speculates = way == SPECULATIVE
        return Plan(way, reason, sequence if speculates else None, far, chosen=way)

    def finishes(self, query: Query) -> bool:
        """Whether the small model may answer, or go on, where the far server fails: who forces the
        cloud never gets its words."""
        if forces_cloud():
            return False
        return self._settings.on_break == "finish" and not unspeculated(query)

    async def own(self, query: Query) -> "Sequence":
        """As the small model answers it alone. Raises InvalidRequest."""
        from predictors.engines.huggingface.sequence import Sequence

        room = min(self._drafting.model.context, self._settings.context_tokens)
        return await Sequence.of(query, self._drafting.model, room)

    def forget(self) -> None:
        """The far server failed: it may come back with another model."""
        self._far = None

    async def _edge(self, query: Query) -> Plan:
        if not self._drafting.drafter.answers:
            # A gateway may ask the cloud then, unless the query is private.
            raise InvalidField(NOBODY, HEM_ROUTE, "unsupported")
        if reason := unspeculated(query):
            field = next(iter(sorted(query.options)), "echo" if query.echo else "logprobs")
            message = f"{HEM_ROUTE} is {EDGE!r}, where nobody can answer this: {reason}"
            raise InvalidField(message, field, "unsupported")
        return Plan(EDGE, HEM_ROUTE, await self.own(query))

    async def _sequence(self, query: Query, far: VerifyModel) -> "Sequence | None":
        """None where its answer may be longer than what the far side checks: cut short it would be
        another one."""
        from predictors.engines.huggingface.sequence import Sequence

        model = replace(self._drafting.model, end_tokens=frozenset(far.end_tokens))
        try:
            sequence = await Sequence.of(query, model, far.room - 1)
        except ContextTooLong:
            return None
        return sequence if sequence.max_tokens == query.sampling.max_tokens else None

    async def _far_model(self) -> VerifyModel:
        """Raises UpstreamError where it can't be asked. Nobody waits for another one's asking in
        vain: as long as it fails, one query at a time asks again."""
        before = self._failed
        if self._far is None and self._learning.locked() and before is not None:
            raise before.with_traceback(None)
        async with self._learning:
            if self._failed is not None and self._failed is not before:
                raise self._failed.with_traceback(None)
            if self._far is None:
                far = await self._asked()
                tokenizer = self._drafting.model.tokenizer
                own = await asyncio.to_thread(tokenizer_fingerprint, tokenizer)
                self._other = "" if far.tokenizer == own else self._said()
                self._far = far
            return self._far

    async def _asked(self) -> VerifyModel:
        try:
            far = await self._verifier.model(self._drafting.model)
        except FAILURES as error:
            self._failed = error
            raise
        self._failed = None
        return far

    def _said(self) -> str:
        return (
            f"the model at {self._verifier.url} has another tokenizer than "
            f"{self._settings.model_dir}: one can't check the tokens of the other; "
            "take models of one family, or route between them"
        )


def unspeculated(query: Query) -> str:
    """Why this query can't be speculated for, whatever the models; empty where it can."""
    if query.options:
        return f"no drafts are checked for {', '.join(sorted(query.options))}"
    if query.echo or query.top_logprobs is not None:
        return "verdicts have no log-probabilities of other tokens"
    return ""
