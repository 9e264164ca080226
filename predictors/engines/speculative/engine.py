"""Query by query: the small model drafts and the large one checks, or one of them answers alone.

torch and transformers are imported when the engine starts.
"""

import time
from collections.abc import AsyncGenerator, Sequence as Rows
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, cast

from predictors.contract import Answer, Delta, Query
from predictors.contract.speculation import Drawing
from predictors.engines.base import EngineSettings, TextEngine
from predictors.engines.checkpoint import check, is_local, resolve
from predictors.engines.openai_api import OpenAIAPIEngine
from predictors.engines.side_by_side import side_by_side
from predictors.engines.speculative.alone import FarServer, drafter_alone, goes_on, timed
from predictors.engines.speculative.base import Replaced
from predictors.engines.speculative.drafting import Drafting, load
from predictors.engines.speculative.metrics import answered, prepare
from predictors.engines.speculative.pace import Pace
from predictors.engines.speculative.planning import FAILURES, Plan, Planner
from predictors.engines.speculative.policy import POLICIES, SPECULATIVE
from predictors.engines.speculative.runner import Leftovers, Parts, Runner
from predictors.engines.speculative.settings import SpeculativeSettings
from predictors.engines.speculative.tally import Tally
from predictors.engines.speculative.verifiers import VERIFIERS
from predictors.errors import ConfigurationError, HEMError, Overloaded, first_line
from predictors.upstream.traffic import LINK

if TYPE_CHECKING:
    from predictors.engines.huggingface.sequence import Sequence

AT_ONCE: Final = 256  # rows of a request that are answered side by side

# Where another model has come meanwhile, an answer may begin anew, as long as nobody has got a part
# of it: of a stream, as long as it has no token. `never`: it has begun anew already.
Anew = Literal["always", "unbegun", "never"]


class SpeculativeEngine(TextEngine):
    """The answers are those of the model behind `url`, whatever the one here drafts. Raises
    ConfigurationError where the model's directory is not whole, or a setting of the link is not
    valid."""

    Settings = SpeculativeSettings
    remote = True
    takes = OpenAIAPIEngine.takes
    reads_route = True

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._settings = own = cast(SpeculativeSettings, settings)
        if own.drafter == "model" and is_local(own.model_dir):
            check(resolve(own.model_dir, own.revision, gguf=True))
        self._verifier = VERIFIERS[own.verifier](own)
        self._far = FarServer(own)
        self._pace = Pace(own.draft_tokens, spares=own.policy == "capacity")
        self._policy = POLICIES[own.policy](own.slower_at_most, self._pace.share)
        self._leftovers = Leftovers()
        self._running = 0  # answers that are speculated for
        self._drafting: Drafting | None = None
        self._planner: Planner | None = None

    async def drafting(self) -> Drafting:
        """What drafts; for a drafter of your own override it. Raises ConfigurationError."""
        return await load(self._settings)

    async def start(self) -> None:
        """The far side may come later: its model is asked for with the first query."""
        drafting = self._drafting = await self.drafting()
        if self._settings.on_far_failure == "finish" and not drafting.drafter.answers:
            raise ConfigurationError(
                f"--on_far_failure 'finish' needs a model that can answer; --drafter "
                f"{self._settings.drafter!r} has none: set on_far_failure to error"
            )
        self._planner = Planner(self._settings, drafting, self._verifier, self._policy)
        await drafting.drafter.start()
        await self._far.start()
        prepare(self._verifier.url)

    async def generate(self, queries: Rows[Query]) -> list[Answer]:
        return await side_by_side(map(self._answer, queries), AT_ONCE)

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        given = False
        try:
            async with aclosing(self._deltas(query, "unbegun")) as deltas:
                async for delta in deltas:
                    given = True
                    yield delta
            return
        except Replaced:
            if given:
                raise
        async with aclosing(self._deltas(query, "never")) as deltas:
            async for delta in deltas:
                yield delta

    async def whole(self, query: Query) -> list[Delta]:
        with suppress(Replaced):
            return await self._all(query, "always")
        return await self._all(query, "never")

    async def _all(self, query: Query, anew: Anew) -> list[Delta]:
        async with aclosing(self._deltas(query, anew)) as deltas:
            return [delta async for delta in deltas]

    async def _deltas(self, query: Query, anew: Anew) -> AsyncGenerator[Delta]:
        """Raises Replaced where it may begin `anew`, with the model that is there now."""
        from predictors.engines.huggingface.streaming import Written, as_written

        plan, tally = await self._begun(query, anew)
        began = time.perf_counter()
        if plan.sequence is None:
            deltas = self._far_deltas(query, tally)
        else:
            run = self._run(plan, tally, anew)
            deltas = as_written(plan.sequence, Written(plan.sequence), run)
        async with aclosing(deltas):
            async for delta in deltas:
                if name := _checked_by(plan, tally.route):
                    delta = replace(delta, served_by=name)
                if delta.answer is not None:
                    seconds = time.perf_counter() - began
                    delta = replace(delta, answer=self._told(delta.answer, plan, tally, seconds))
                yield delta

    def cause_of_death(self) -> str | None:
        return self._drafting.drafter.cause_of_death() if self._drafting is not None else None

    async def close(self) -> None:
        await self._leftovers.close()
        await self._verifier.close()
        await self._far.close()
        if self._drafting is not None:
            await self._drafting.drafter.close()

    async def _answer(self, query: Query) -> Answer:
        with suppress(Replaced):
            return await self._answered(query, "always")
        return await self._answered(query, "never")

    async def _answered(self, query: Query, anew: Anew) -> Answer:
        """Raises as `_deltas`."""
        plan, tally = await self._begun(query, anew)
        began = time.perf_counter()
        if plan.sequence is None:
            answer = await self._far_answer(query, tally)
        else:
            await self._run(plan, tally, anew)
            answer = plan.sequence.answer()
        return self._told(answer, plan, tally, time.perf_counter() - began)

    async def _begun(self, query: Query, anew: Anew) -> tuple[Plan, Tally]:
        """The row has a task of its own: what is set here is seen by nobody else."""
        assert self._planner is not None, "start() comes first"
        plan = await self._planner.plan(query, anew=anew == "never")
        tally = Tally(plan.way, plan.reason)
        LINK.set(tally.link)
        return plan, tally

    async def _run(self, plan: Plan, tally: Tally, anew: Anew) -> None:
        """Until the plan's sequence has ended. Raises HEMError, and as `_deltas`."""
        sequence, drafter = plan.sequence, self._drafting_().drafter
        assert sequence is not None
        coupled = self._settings.rule == "coupled"
        drawing = Drawing.of(sequence.sampling, sequence.key, coupled=coupled)
        if plan.far is not None:
            self._running += 1
            most = self._most_rounds()
            parts = Parts(drafter, self._verifier, plan.far, self._pace, self._leftovers, most)
            try:
                return await Runner(sequence, drawing, parts, tally).to_end()
            except FAILURES as error:
                begins = anew == "always" or (anew == "unbegun" and not sequence.tokens)
                self._broken(sequence.query, error, anew=begins)
                tally.breaks(first_line(error), begun=bool(sequence.tokens))
            finally:
                self._running -= 1
        await drafter_alone(sequence, drawing, drafter)

    def _most_rounds(self) -> int:
        """Of one answer: rounds that would wait here for a connection gain nothing."""
        places = self._settings.max_concurrency // self._running
        most = min(self._settings.rounds_in_flight, self._verifier.most_rounds, places)
        return max(most, 1)

    async def _far_answer(self, query: Query, tally: Tally) -> Answer:
        try:
            return await self._far.answer(query)
        except FAILURES as error:
            sequence = await self._instead(query, tally, error)
            await self._alone(sequence)
            return sequence.answer()

    async def _far_deltas(self, query: Query, tally: Tally) -> AsyncGenerator[Delta]:
        """Where the far server breaks off, the small model goes on with its text."""
        from predictors.engines.huggingface.streaming import Written, as_written

        text, count = "", 0
        try:
            async with aclosing(self._far.stream(query)) as deltas:
                async for delta in deltas:
                    text += delta.text
                    yield delta
            return
        except FAILURES as error:
            if text:
                count = len(self._drafting_().model.tokenizer.encode(text))
            sequence = await self._instead(query, tally, error, text, count)
        rest = as_written(sequence, Written(sequence), self._alone(sequence))
        async with aclosing(rest):
            async for delta in rest:
                if (end := delta.answer) is not None:
                    tokens = (end.completion_tokens or 0) + count
                    end = replace(end, text=text + end.text, completion_tokens=tokens)
                yield replace(delta, answer=end)

    async def _instead(
        self, query: Query, tally: Tally, error: HEMError, text: str = "", count: int = 0
    ) -> "Sequence":
        """For the small model, which goes on with `text` of `count` tokens. Raises the error where
        that may not be."""
        assert self._planner is not None
        self._broken(query, error)
        rest = goes_on(query, text, count)
        if rest is None:
            raise error
        tally.breaks(first_line(error), begun=bool(text))
        return await self._planner.own(rest)

    async def _alone(self, sequence: "Sequence") -> None:
        drawing = Drawing.of(sequence.sampling, sequence.key, coupled=True)
        await drafter_alone(sequence, drawing, self._drafting_().drafter)

    def _broken(self, query: Query, error: HEMError, *, anew: bool = False) -> None:
        """Raises the error where nobody may go on, or where it may begin `anew`."""
        assert self._planner is not None
        if not isinstance(error, Overloaded):  # it may come back as another one
            self._planner.forget()
        if (anew and isinstance(error, Replaced)) or not self._planner.finishes(query):
            raise error

    def _told(self, answer: Answer, plan: Plan, tally: Tally, seconds: float) -> Answer:
        """`seconds`: what it took in all."""
        told = tally.told()
        if plan.chosen is not None and told.route == plan.way:  # and nothing broke
            self._policy.took(plan.chosen, self._measured(answer, seconds))
        answered(self._verifier.url, told, answer.completion_tokens or 0, self._pace)
        if name := _checked_by(plan, told.route):
            answer = replace(answer, served_by=name)
        return replace(answer, speculation=told)

    def _measured(self, answer: Answer, seconds: float) -> Answer:
        """For the policy, also of a server whose streams tell no usage, or that does not stream:
        both models number tokens alike, or nothing would have been chosen."""
        tokens = answer.completion_tokens
        if tokens is not None and answer.time_to_first_token is not None:
            return answer
        if tokens is None:
            encode = self._drafting_().model.tokenizer.encode
            tokens = len(encode(answer.text, add_special_tokens=False))
        return timed(answer, tokens, seconds)

    def _drafting_(self) -> Drafting:
        assert self._drafting is not None, "start() comes first"
        return self._drafting


def _checked_by(plan: Plan, route: str) -> str | None:
    """The large model's name, where it said each token; None: the answer names its model itself, or
    the small one has ended it."""
    if plan.far is None or plan.sequence is None or route != SPECULATIVE:
        return None
    return plan.far.name or None
