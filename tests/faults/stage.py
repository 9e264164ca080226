"""One proxy between a caller and two providers, and the cases played on it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import httpx

from tests.faults import rows, scripts
from tests.faults.caller import Seen, ask
from tests.faults.provider import Provider, serving
from tests.faults.rows import Case, Clock
from tests.faults.verdicts import Played

TEXTS: Final = tuple(
    " ".join(f"{word}{number:02}" for number in range(1, 25)) for word in ("alpha", "beta")
)
SETTLE_SECONDS: Final = 60.0  # a row before may have closed the way to the primary


@dataclass(frozen=True)
class Proxy:
    """`model` routes to the primary first. What failed `forgets` seconds ago counts no more."""

    name: str
    url: str
    model: str
    forgets: float = 0.0


@dataclass
class Stage:
    proxy: Proxy
    primary: Provider
    fallback: Provider
    clock: Clock
    client: httpx.AsyncClient

    async def play(self, case: Case) -> Played:
        """From a state in which the primary answers."""
        await self._settle()
        self.primary.begin(case.primary(self.clock), TEXTS[0])
        self.fallback.begin(case.fallback, TEXTS[0 if case.same else 1])
        if case.steady:
            return await self._steady(case)
        asked = [await self._ask(case) for _ in range(case.requests)]
        return self._played(asked)

    async def _steady(self, case: Case) -> Played:
        """Requests at a steady pace, whatever becomes of those before."""
        clock, begun = self.clock, time.perf_counter()
        total = rows.BEFORE + rows.DOWN + rows.BEHIND
        down = begun + clock(rows.BEFORE), begun + clock(rows.BEFORE + rows.DOWN)
        asked: list[asyncio.Task[Seen]] = []
        for number in range(round(total / rows.EVERY)):
            due = begun + clock(number * rows.EVERY)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            is_down = down[0] <= due < down[1]
            self.primary.script = scripts.resetting if is_down else scripts.well
            asked.append(asyncio.create_task(self._ask(case)))
        return self._played(await asyncio.gather(*asked), down)

    async def _ask(self, case: Case) -> Seen:
        body = {"model": self.proxy.model, "stream": case.streamed, **case.fields}
        limit = self.clock(rows.LIMIT)
        return await ask(self.client, self.proxy.url, body, case.headers, limit)

    def _played(self, asked: list[Seen], down: tuple[float, float] = (0.0, 0.0)) -> Played:
        return Played(asked, self.primary, self.fallback, self.clock(rows.LIMIT), down)

    async def _settle(self) -> None:
        """Raises AssertionError where the primary, which is well, does not answer again."""
        await asyncio.sleep(self.proxy.forgets)
        self.primary.begin(scripts.well, TEXTS[0])
        self.fallback.begin(scripts.well, TEXTS[1])
        body = {"model": self.proxy.model, "stream": True}
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            seen = await ask(self.client, self.proxy.url, body, {}, SETTLE_SECONDS)
            if seen.text == self.primary.text:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.proxy.name} never asks the primary again: {seen}")


@contextlib.asynccontextmanager
async def providers() -> AsyncIterator[tuple[Provider, Provider]]:
    """A primary and its fallback, of other models, texts and counts."""
    primary = Provider("primary-model", TEXTS[0], (1000, 500), scripts.well)
    fallback = Provider("fallback-model", TEXTS[1], (7, 24), scripts.well)
    async with serving(primary), serving(fallback):
        yield primary, fallback
