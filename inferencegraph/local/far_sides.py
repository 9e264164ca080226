"""What the services of a stack say of the servers that they call, told once it is of interest."""

import asyncio
from collections.abc import Callable
from typing import Final

from inferencegraph.local.plan import Component
from predictors.upstream.probe import Told, told

# A service of ours asks again so soon: long enough for one that has just become ready beside it.
SETTLE_SECONDS: Final = 3.0

Tell = Callable[[Component, Told], None]


class FarSides:
    """Reads lines of logs. While the services load nothing is told: a cloud that loads can't be
    reached, and that is no news. From `open` on, changes are told at once."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._heard: dict[str, tuple[Component, Told]] = {}
        self._failing: set[str] = set()
        self._open = False
        self._settled: asyncio.Task[None] | None = None

    def line(self, component: Component, text: str) -> None:
        said = told(text)
        if said is None:
            return
        self._heard[component.name] = component, said
        if self._open:
            self._pass_on(component, said)

    def open(self) -> None:
        """Called when all services are ready."""
        for component, said in self._heard.values():
            if not said.passing:
                self._pass_on(component, said)
        self._settled = asyncio.create_task(self._settle())

    def close(self) -> None:
        if self._settled:
            self._settled.cancel()

    async def _settle(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        self._open = True
        for component, said in self._heard.values():
            self._pass_on(component, said)

    def _pass_on(self, component: Component, said: Told) -> None:
        """Every failure once, and an answer only after a failure."""
        name = component.name
        if bool(said.fault) == (name in self._failing):
            return
        self._failing.symmetric_difference_update({name})
        self._tell(component, said)
