"""How a side is called for an answer: what goes there, and how long it may take."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from predictors.contract import CLOUD
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.attempt import Attempt
from transformers_hem.gateway.chat import Chat
from transformers_hem.gateway.hedging import Hedging
from transformers_hem.gateway.hold import Hold
from transformers_hem.gateway.miner import Miner
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.gateway.pace import SHARE, Pace, TimeLimits
from transformers_hem.gateway.passing import Rewrite
from transformers_hem.gateway.redacting import Kept, redacted
from transformers_hem.gateway.relay import Relay
from transformers_hem.gateway.said import Said
from transformers_hem.gateway.served import Served
from transformers_hem.gateway.site import Site
from transformers_hem.gateway.standing_in import may_stand_in
from transformers_hem.guards.admission import Going, KeptAtEdge, usage_of_chat


@dataclass(frozen=True, slots=True)
class Calls:
    site: Site
    miner: Miner
    limits: TimeLimits
    hedging: Hedging

    def begin(self, chat: Chat, route: Route) -> Attempt:
        if chat.insists:
            self.site.targets[route].http.insist()
        return chat.account.begin(route)

    async def attempt(self, chat: Chat, route: Route) -> Attempt:
        """Raises HEMError where its model's name can't be learnt, KeptAtEdge."""
        attempt = self.begin(chat, route)
        with attempt.under_way():
            attempt.asked = await self.site.targets[route].model()
            if route == CLOUD and self.miner.decider.counts:
                await self._admit(chat, attempt)
        return attempt

    async def _admit(self, chat: Chat, attempt: Attempt) -> None:
        """By guards that count what goes to the cloud. Raises KeptAtEdge."""
        forced = chat.prefer == CLOUD
        going = Going(chat.client, usage_of_chat(chat.body_for(CLOUD)), attempt.asked, forced)
        try:
            attempt.admission = await self.miner.decider.admit(going)
        except KeptAtEdge:
            chat.account.withdraw(attempt)
            raise

    def relay(
        self,
        chat: Chat,
        attempt: Attempt,
        body: Any,
        outlet: Outlet,
        *,
        continues: Route | None = None,
        rewrite: Rewrite | None = None,
        hold: Hold | None = None,
    ) -> Relay:
        target = self.site.targets[attempt.route]
        served = Served(chat, attempt, continues)
        goes_on = chat.wishes.goes_on and chat.streams and continues is None
        leaves = None
        if attempt.route == CLOUD:
            try:
                leaves = redacted(self.miner.decider, chat, attempt, body)
            except Kept:
                attempt.unused, attempt.outcome = True, "failed"
                raise
        return Relay(
            target,
            chat.path,
            {**(leaves.body if leaves else body), "model": attempt.asked},
            served,
            outlet,
            self.pace(chat, attempt.route, streams=chat.streams),
            said=Said() if goes_on else None,
            rewrite=rewrite,
            hold=hold,
            placeholders=leaves.placeholders if leaves else None,
        )

    def pace(self, chat: Chat, route: Route, *, streams: bool) -> Pace:
        """Half of what is left of the deadline is the other side's, where that may stand in."""
        by, deadline = None, chat.wishes.deadline
        if deadline is not None and may_stand_in(self.miner.decider, chat, route):
            now = asyncio.get_running_loop().time()
            by = now + SHARE * (deadline - now)
        name = self.site.targets[route].http.url
        waited = partial(self.hedging.waited, route, streams)
        return Pace(self.limits, name, streams=streams, by=by, waited=waited)
