"""How a request is answered: who decides, who is asked, and who stands in where that one fails.

    decide -> the side that was decided -> (nothing was said yet: the other side)
                                        -> (it broke off: an error, or the other side goes on)

In the answer stage the edge is asked first, and its answer, or the beginning of it, decides; or
each sentence, and the cloud goes on behind those that the caller has.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from predictors.contract import CLOUD, EDGE
from predictors.errors import (
    BreakerOpen,
    Cause,
    HEMError,
    InvalidRequest,
    UpstreamError,
)
from predictors.upstream.redaction import logged
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.calls import Calls
from transformers_hem.gateway.chat import DEADLINE, REQUEST_ID, Chat, Draft
from transformers_hem.gateway.designing import designing
from transformers_hem.gateway.first_answer import Edge, as_events, shown
from transformers_hem.gateway.hedging import Hedging, race
from transformers_hem.gateway.hold import Hold
from transformers_hem.gateway.miner import Miner
from transformers_hem.gateway.options import DecideAt
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.gateway.pace import DeadlineOver, TimeLimits
from transformers_hem.gateway.passing import Rewrite
from transformers_hem.gateway.relay import Relay
from transformers_hem.gateway.said import Again, Rest, Said
from transformers_hem.gateway.site import Site
from transformers_hem.gateway.standing_in import (
    BOTH,
    EDGE_CANNOT,
    EDGE_FAILED,
    OTHER,
    cannot,
    forced,
    is_private,
    may_stand_in,
    slow,
    stands_in,
    why,
)
from transformers_hem.gateway.takeover import Takeover
from transformers_hem.guards.admission import KeptAtEdge
from transformers_hem.serving.decision import Decision

logger = logging.getLogger("kserve.hem")


@dataclass(frozen=True, slots=True)
class Answering:
    """Of one site. The `miner` decides: on the query, or on the edge's answer, by the stage of its
    algorithm."""

    site: Site
    miner: Miner
    edge: Edge
    limits: TimeLimits
    decide_at: DecideAt = "end"
    hedging: Hedging = field(default_factory=lambda: Hedging(None))

    @property
    def calls(self) -> Calls:
        return Calls(self.site, self.miner, self.limits, self.hedging)

    async def answer(self, chat: Chat, outlet: Outlet, *, stays: bool) -> None:
        """`stays`: the conversation is at the cloud. Raises HEMError; `outlet` tells whether the
        caller has got something, `chat.decision` what was decided."""
        try:
            async with asyncio.timeout_at(chat.wishes.deadline):
                with outlet.waiting():
                    await self._answer_or_insist(chat, outlet, stays)
        except TimeoutError:
            raise DeadlineOver(f"no whole answer until the deadline ({DEADLINE})") from None

    async def _answer_or_insist(self, chat: Chat, outlet: Outlet, stays: bool) -> None:
        """A belief that would leave nobody to answer is tried: the edge first, then the cloud."""
        sides = self._sides(chat)
        chat.insists = self.site.down(sides) is not None
        try:
            await self._answer(chat, outlet, stays)
        except HEMError as error:
            if chat.insists and not outlet.said and (down := self.site.down(sides)):
                raise down from error
            raise

    def _sides(self, chat: Chat) -> tuple[Route, ...]:
        """Those that may answer."""
        if not any(self.site.down((side,)) for side in BOTH):
            return BOTH
        overruled = self.miner.decider.overrule(chat.batch, chat.prefer)
        if overruled is None or (chat.prefer is None and overruled.route == CLOUD):
            return BOTH
        return (overruled.route,)

    async def _answer(self, chat: Chat, outlet: Outlet, stays: bool) -> None:
        decider, identity = self.miner.decider, chat.headers[REQUEST_ID]
        by_answer = decider.stage == "answer"
        if not by_answer or decider.overrule(chat.batch, chat.prefer, stays) is not None:
            asking = designing(decider, chat)
            chat.decision = await self.miner.mine(chat.batch, chat.prefer, identity, stays, asking)
            return await self._pass_on(chat, outlet)
        try:
            if chat.streams and self._decides_early(chat):
                if not await self._held(chat, outlet):
                    await self._pass_on(chat, outlet)
                return
            chat.draft = await self._draft(chat)
        except HEMError as error:
            if chat.decision is not None or not stands_in(self.miner.decider, chat, EDGE, error):
                raise
            logger.warning("the edge failed, the cloud answers: %s", logged(error))
            cannot = isinstance(error, InvalidRequest)
            chat.decision = decider.no_answer(EDGE_CANNOT if cannot else EDGE_FAILED)
            try:
                return await self._run(chat, CLOUD, outlet)
            except KeptAtEdge as kept:
                chat.decision = chat.decision.kept(kept.guard)
                raise error from None
        if self._decides_early(chat):
            hold = self._hold(chat)
            hold.take(chat.draft.answer.body["choices"][0])
            await hold.look(ended=True)
            if hold.failure is not None:
                raise hold.failure
        else:
            await self._mine(chat, chat.draft)
        assert chat.decision is not None
        if chat.decision.route == CLOUD:
            return await self._pass_on(chat, outlet)
        await self._give(chat, chat.draft, outlet)

    async def _mine(self, chat: Chat, draft: Draft) -> None:
        """On the whole answer. Raises HEMError."""
        samples: tuple[tuple[str, ...], ...] = ()
        if extra := self.miner.decider.algorithm.sampling:
            more = chat.account.begin(EDGE)
            samples = await self.edge.samples(chat.path, chat.body, extra, more)
        await self._decide(chat, draft.answer.batch(chat.texts, samples))

    async def _decide(self, chat: Chat, batch: Batch) -> Decision:
        """Raises HEMError."""
        batch = replace(batch, client=chat.client, leaving=chat.leaving)
        asking, identity = designing(self.miner.decider, chat), chat.headers[REQUEST_ID]
        chat.decision = await self.miner.mine(batch, chat.prefer, identity, asking=asking)
        return chat.decision

    def _decides_early(self, chat: Chat) -> bool:
        """By the beginning of the edge's one answer; nothing is asked of the whole."""
        if self.decide_at == "end" or len(chat.texts) != 1:
            return False
        return (chat.body.get("n") or 1) == 1 and not self.miner.decider.algorithm.sampling

    def _hold(self, chat: Chat) -> Hold:
        shows = bool(chat.body.get("logprobs"))
        # Two models in one answer are for who asked for that; and behind text alone.
        again = self.decide_at == "sentence" and chat.wishes.goes_on and not shows
        decide = partial(self._decide, chat)
        return Hold(chat.texts[0], self.decide_at, decide, shows_logprobs=shows, again=again)

    async def _held(self, chat: Chat, outlet: Outlet) -> bool:
        """Streams the edge's answer, once what is known of its beginning has decided for it, as far
        as it decides so; False where nothing was sent of it. Raises HEMError."""
        while True:
            hold = self._hold(chat)
            body = {**chat.body, **self.edge.scores(chat.path, chat.body)}
            relay = self.calls.relay(
                chat, await self.calls.attempt(chat, EDGE), body, outlet, hold=hold
            )
            try:
                async with Takeover(outlet) as takeover:
                    relay.hand_over = partial(self._hand_over, chat, relay, takeover, outlet)
                    await self._through(chat, relay, outlet)
            except InvalidRequest as error:
                if relay.given or not self.edge.lacks_scores(error, chat.body):
                    raise
            else:
                if hold.failure is not None:
                    raise hold.failure
                return hold.commits or takeover.begun

    async def _hand_over(self, chat: Chat, edge: Relay, takeover: Takeover, outlet: Outlet) -> bool:
        """Whether the cloud goes on behind what the caller has of the edge's answer."""
        assert edge.said is not None
        attempt = edge.served.attempt

        def taken() -> None:
            attempt.outcome = "escalated"

        try:
            if refused := self.site.targets[CLOUD].http.refuses():
                raise refused
            rest = edge.said.continued(chat.body)
            if rest is None:
                raise InvalidRequest("there is more in the answer than text")
            if is_private(self.miner.decider, chat, rest):
                raise InvalidRequest("a guard of privacy keeps the answer here")
            await takeover.begin(self._behind(chat, EDGE, edge.said, rest, outlet), taken)
        except HEMError as error:
            chat.degraded = why(error)
            logger.warning("kept at the edge, as the cloud does not go on: %s", logged(error))
            return False
        return True

    async def _draft(self, chat: Chat) -> Draft:
        """Raises HEMError."""
        attempt = self.calls.begin(chat, EDGE)
        async with self.calls.pace(chat, EDGE, streams=False).over():
            return Draft(await self.edge.answer(chat.path, chat.body, attempt), attempt)

    async def _pass_on(self, chat: Chat, outlet: Outlet) -> None:
        """The answer of the side that was decided; of the other one where that side can't take it,
        or fails before it has said anything. Where both fail the cloud's error is told."""
        assert chat.decision is not None
        decided = chat.decision.route
        target = self.site.targets[decided]
        failed: HEMError | None = None
        if chat.prefer is None and not (chat.insists and decided == EDGE):
            failed = target.http.refuses()
        if failed is None or not may_stand_in(self.miner.decider, chat, decided):
            try:
                return await self._hedged(chat, decided, outlet)
            except HEMError as error:
                if outlet.said or not stands_in(self.miner.decider, chat, decided, error):
                    raise forced(chat, error) from None
                failed = error
        try:
            await self._stand_in(chat, decided, failed, outlet)
        except KeptAtEdge as kept:
            chat.decision = chat.decision.kept(kept.guard)
            raise failed from None
        except HEMError as error:
            if isinstance(failed, KeptAtEdge) and cannot(error) and not outlet.said:
                raise failed from None  # the caller may come again; the edge never can
            if decided == EDGE or outlet.said or isinstance(failed, KeptAtEdge):
                raise
            if not (chat.insists and isinstance(failed, BreakerOpen)):
                raise failed from None
            chat.degraded = ""
            await self._run(chat, CLOUD, outlet)

    async def _hedged(self, chat: Chat, decided: Route, outlet: Outlet) -> None:
        """The other side is asked, too, where the decided one is slower than usual."""
        seconds = None
        if (
            self.hedging.on
            and chat.draft is None
            and may_stand_in(self.miner.decider, chat, decided)
        ):
            seconds = self.hedging.after(decided, chat.streams)
        if seconds is None:
            return await self._run(chat, decided, outlet)
        other = replace(chat)
        try:
            await race(
                outlet,
                lambda: self._run(chat, decided, outlet),
                lambda: self._stand_in(other, decided, slow(decided), outlet),
                seconds,
                self.hedging.take,
            )
        finally:
            if not chat.account.answered_by(decided):
                chat.decision, chat.degraded = other.decision, other.degraded

    async def _stand_in(self, chat: Chat, decided: Route, failed: HEMError, outlet: Outlet) -> None:
        assert chat.decision is not None
        other = OTHER[decided]
        if not failed.told:
            logger.warning("the %s failed, the %s answers: %s", decided, other, logged(failed))
        if decided == EDGE:
            cannot = isinstance(failed, InvalidRequest)
            reason = EDGE_CANNOT if cannot else EDGE_FAILED
            chat.decision = replace(chat.decision, route=CLOUD, reason=reason)
        elif isinstance(failed, KeptAtEdge):
            chat.decision = chat.decision.kept(failed.guard)
        else:
            chat.degraded = why(failed)
        if chat.draft is not None and other == EDGE:
            return await self._give(chat, chat.draft, outlet)
        await self._run(chat, other, outlet)

    async def _give(self, chat: Chat, draft: Draft, outlet: Outlet) -> None:
        body = shown(draft.answer.body, chat.body)
        relay = self.calls.relay(chat, draft.attempt, chat.body, outlet)
        await relay.give(body, as_events(body, chat.body))

    async def _run(self, chat: Chat, route: Route, outlet: Outlet) -> None:
        """Raises HEMError."""
        relay = self.calls.relay(
            chat, await self.calls.attempt(chat, route), chat.body_for(route), outlet
        )
        await self._through(chat, relay, outlet)

    async def _through(self, chat: Chat, relay: Relay, outlet: Outlet) -> None:
        """Raises HEMError, unless the other side has gone on."""
        try:
            await relay.run()
        except HEMError as error:
            if not relay.given or not await self._go_on(chat, relay, error, outlet):
                raise

    async def _go_on(self, chat: Chat, broken: Relay, error: HEMError, outlet: Outlet) -> bool:
        """Has the other side say the rest of an answer that broke off. False where it can't."""
        route, said = broken.served.attempt.route, broken.said
        if said is None or not stands_in(self.miner.decider, chat, route, error):
            return False
        if isinstance(error, UpstreamError) and error.cause is Cause.DECLINED:
            return False
        rest = said.continued(chat.body)
        if rest is None or (route == EDGE and is_private(self.miner.decider, chat, rest)):
            return False
        logger.warning("the %s broke off, the %s goes on: %s", route, OTHER[route], logged(error))
        outlet.release()
        await self._behind(chat, route, said, rest, outlet)
        return True

    async def _behind(
        self, chat: Chat, before: Route, said: Said, rest: Any, outlet: Outlet
    ) -> None:
        """The other side's answer behind what was said `before`; `rest` asks for it. Raises
        HEMError."""
        relay = await self._rest(chat, before, rest, outlet, Rest(said).rewrite)
        try:
            await relay.run()
        except InvalidRequest as refused:
            if relay.given:
                raise
            told = logged(refused)
            logger.info("the %s takes no beginning of an answer: %s", OTHER[before], told)
            anew = Again(said).rewrite
            await (await self._rest(chat, before, chat.body, outlet, anew)).run()

    async def _rest(
        self, chat: Chat, broken: Route, body: Any, outlet: Outlet, rewrite: Rewrite
    ) -> Relay:
        attempt = await self.calls.attempt(chat, OTHER[broken])
        return self.calls.relay(chat, attempt, body, outlet, continues=broken, rewrite=rewrite)
