"""One request of the gateway, mined by what was in force at its beginning."""

import asyncio
import time
from dataclasses import dataclass, replace

from predictors.contract import CLOUD
from predictors.tracing.spans import span
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.serving.decision import Asking, Decider, Decision
from transformers_hem.serving.telling import Told, describe, tell


@dataclass(slots=True)
class Pinned:
    """Mines one request of the gateway by what was in force at its beginning. Where guards count
    what goes to the cloud, a decision for it is told once it is `settled`."""

    decider: Decider
    _untold: Told | None = None

    async def mine(
        self,
        batch: Batch,
        prefer: Route | None,
        request_id: str | None = None,
        sticky: bool = False,
        asking: Asking | None = None,
    ) -> Decision:
        started = time.perf_counter()
        with span("hem mine", {}) as mining:
            decision = self.decider.overrule(batch, prefer, sticky)
            if decision is None:
                decision = await judged(self.decider, batch)
                if asking is not None and decision.route == CLOUD:
                    decision, batch = asking(decision)
            describe(mining, decision, batch)
        self.settled(None)  # of a sentence before
        told = Told.of(self.decider, decision, batch, request_id, started)
        if self.decider.counts and decision.route == CLOUD:
            self._untold = told
        else:
            tell(told)
        return decision

    def settled(self, decision: Decision | None) -> None:
        """What the last one has become: a guard that counts may keep it at the edge. None: nothing
        else."""
        untold, self._untold = self._untold, None
        if untold is not None:
            tell(untold if decision is None else replace(untold, decision=decision))

    def pinned(self, decider: Decider) -> "Pinned":
        return Pinned(decider)


async def judged(decider: Decider, batch: Batch) -> Decision:
    if decider.algorithm.blocks(batch):
        return await asyncio.to_thread(decider.judge, batch)
    return decider.judge(batch)
