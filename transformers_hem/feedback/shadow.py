"""Shadow evaluation: of a small share of what one side has answered the other is asked, too, and
both answers are scored, so that what is learned is not biased by the router's own choices.

What the edge has answered costs a call of the cloud, what the cloud has answered none: so the
shares of the two may differ. Each decision has its own, by which a plain sample can be had of the
pairs, as a promise needs one (`lifelong.recalibration`).

Never past a guard: what one keeps at the edge, or holds something private, is not sent to the
cloud; those that count (budget, rate) are asked as for any call, and the egress ledger has it with
the reason `shadow`. The edge costs nothing but its time, so it is asked while it has no call of
this gateway. It begins once the caller has the answer, one at a time of what each side answered:
what waits for a busy edge keeps no call of the cloud. Where too many wait it is left out, whatever
the query.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from predictors.contract import CLOUD, EDGE, HEM_REASON, HEM_ROUTE
from predictors.errors import HEMError
from predictors.upstream.client import forwarded_headers
from predictors.upstream.ledger.decision import decided
from predictors.upstream.openai.answer import whole_answer
from predictors.upstream.redaction import logged
from transformers_hem.algorithms.base import Route
from transformers_hem.feedback import metrics
from transformers_hem.feedback.heard import Heard, draft_of, may_be_compared, served_as_decided
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.records import Feedback
from transformers_hem.feedback.writer import Writer
from transformers_hem.gateway.account import Account
from transformers_hem.gateway.chat import REQUEST_ID, Chat
from transformers_hem.gateway.designing import designing
from transformers_hem.gateway.finished import Finished
from transformers_hem.gateway.first_answer import APIS, LOGPROBS, STREAMING
from transformers_hem.gateway.site import Site, Target
from transformers_hem.gateway.standing_in import OTHER
from transformers_hem.guards.admission import Going, KeptAtEdge, usage_of_chat
from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import Scorer
from transformers_hem.serving.decision import Decider

logger = logging.getLogger("kserve.hem")

MOST_WAITING: Final = 16  # of what each side answered
SECONDS: Final = 120.0  # for the other side's answer
IDLE_SECONDS: Final = 60.0  # that the edge may take to have no other call
_LOOK_SECONDS: Final = 0.05
_LEFT_OUT: Final = (*STREAMING, *LOGPROBS)

Tasks = set["asyncio.Task[None]"]


def _queues() -> dict[Route, Tasks]:
    return {EDGE: set(), CLOUD: set()}


class EdgeIsBusy(Exception):
    """It had other calls all the time."""


@dataclass(slots=True)
class Shadow:
    """`shares`: of the queries that may be compared and that this side answered, how many are. A
    scorer that needs a reference gets the cloud's answer as one: then the cloud's score is that of
    a right answer. `idle_seconds`: see IDLE_SECONDS. `queues`: by the side that answered."""

    writer: Writer
    origin: str
    shares: Mapping[Route, float]
    name: str
    scorer: Scorer
    draw: Callable[[], float] = random.random
    idle_seconds: float = IDLE_SECONDS
    queues: Mapping[Route, Tasks] = field(default_factory=_queues)
    started: bool = False
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def tasks(self) -> Tasks:
        return set().union(*self.queues.values())

    def listen(self, chat: Chat) -> Heard | None:
        """Before it is answered, and so before one knows by which side: None where it is not drawn
        whichever answers, or could not be compared."""
        if not may_be_compared(chat):
            return None
        chat.drawn = self.draw()
        return Heard(chat.path) if chat.drawn < max(self.shares.values()) else None

    def share_of(self, decider: Decider, chat: Chat, finished: Finished) -> float:
        """How likely it was that both sides of an answer are scored. What a strategy asks the cloud
        is no answer to the query itself."""
        served, decision = served_as_decided(chat, finished), chat.decision
        if served is None or decision is None or decision.reason != "algorithm":
            return 0.0
        if not may_be_compared(chat) or designing(decider, chat) is not None:
            return 0.0
        if served != CLOUD and decider.overrule(chat.batch, None) is not None:
            return 0.0
        return self.shares[served]

    def begin(self, site: Site, decider: Decider, chat: Chat, heard: Heard, at: float) -> None:
        """Of an answer whose `share_of` is above what was drawn; `at`: when its request ended, by
        which its decision is found where others have the request's id."""
        assert chat.decision is not None
        queue = self.queues[chat.decision.route]
        if len(queue) >= MOST_WAITING:
            metrics.SHADOW.labels("left_out").inc()
            return
        before = list(queue)
        task = asyncio.create_task(self._compare(site, decider, chat, heard, at, before))
        queue.add(task)
        task.add_done_callback(queue.discard)

    async def close(self) -> None:
        tasks = self.tasks
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.scorer.close()

    async def _compare(
        self,
        site: Site,
        decider: Decider,
        chat: Chat,
        heard: Heard,
        at: float,
        before: list["asyncio.Task[None]"],
    ) -> None:
        """One after the other of its queue. Whatever fails is left out."""
        if before:
            await asyncio.wait(before)
        outcome = "failed"
        assert chat.decision is not None
        served = chat.decision.route
        try:
            given = heard.text()
            other = draft_of(chat) if served == CLOUD else None
            if other is None:
                other = await self._asked(site, decider, chat, OTHER[served])
            edge, cloud = (other, given) if served == CLOUD else (given, other)
            async with asyncio.timeout(SECONDS):
                await self._keep(chat, edge, cloud, at)
            outcome = "scored"
        except KeptAtEdge:
            outcome = "kept"
        except EdgeIsBusy:
            outcome = "busy"
        except (HEMError, TimeoutError, ValueError) as error:
            text = logged(error) if isinstance(error, HEMError) else type(error).__name__
            logger.info("shadow: left out: %s", text)
        finally:
            metrics.SHADOW.labels(outcome).inc()

    async def _asked(self, site: Site, decider: Decider, chat: Chat, side: Route) -> str:
        """That side's answer. Raises HEMError, EdgeIsBusy, TimeoutError."""
        if side != CLOUD:
            await self._idle(site.targets[side])
        async with asyncio.timeout(SECONDS):
            said = await self._ask(site, decider, chat, side)
        return said

    async def _idle(self, edge: Target) -> None:
        """Waits until nobody else is asking it. Raises EdgeIsBusy."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.idle_seconds
        while edge.http.running:
            if loop.time() >= until:
                raise EdgeIsBusy
            await asyncio.sleep(_LOOK_SECONDS)

    async def _ask(self, site: Site, decider: Decider, chat: Chat, side: Route) -> str:
        """Raises HEMError."""
        target = site.targets[side]
        if refused := target.http.refuses():
            raise refused
        account = Account(chat.account.prices)
        attempt = account.begin(side)
        api = APIS[chat.path]
        try:
            with (
                forwarded_headers(chat.headers),
                decided({HEM_ROUTE: side, HEM_REASON: "shadow"}),
                attempt.under_way(),
            ):
                attempt.asked = await target.model()
                if side == CLOUD:
                    going = Going(chat.client, usage_of_chat(chat.body), attempt.asked)
                    attempt.admission = await decider.admit(going)
                body = {name: value for name, value in chat.body.items() if name not in _LEFT_OUT}
                asked = {**body, "model": attempt.asked}

                def read(found: Any) -> str:
                    attempt.read(found)
                    answer = whole_answer(found, api).answer
                    return answer.text if answer is not None else ""

                return await target.http.post(chat.path, asked, read)
        finally:
            account.close()

    async def _keep(self, chat: Chat, edge: str, cloud: str, at: float) -> None:
        async with self.starting:
            if not self.started:
                await self.scorer.start()
                self.started = True
        references = (cloud,) if self.scorer.needs_reference else ()
        request_id = chat.headers[REQUEST_ID]
        question = Question(request_id, chat.texts[0], None, references, {}, "", "shadow")
        pair = await self.scorer.score(question, edge, cloud)
        said = Feedback(
            key=uuid.uuid4().hex,
            origin=self.origin,
            request_id=request_id,
            at=at,
            client=chat.client,
            source="shadow",
            scorer=self.name,
            edge_score=float(pair.edge),
            cloud_score=float(pair.cloud),
        )
        await self.writer.keep(Unit(feedback=(said,)))
