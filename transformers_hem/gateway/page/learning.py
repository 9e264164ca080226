"""What the router in force promises, what a check of live queries has found, which versions there
were, and what has come back from use."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from predictors.errors import ConfigurationError
from transformers_hem.gateway.page.counters import feedback
from transformers_hem.gateway.page.curve import gets_all
from transformers_hem.routers.directory import place_of
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.promised import promised_by
from transformers_hem.versions.pointer import read_pointer
from transformers_hem.versions.told import CHECKED, RETRAINED, told

SWITCHES: Final = 6  # that are shown
FRESH_SECONDS: Final = 2.0  # files are read again afterwards, however many pages ask

_RETRAINED: Final = ("at", "promoted", "version", "why", "rows", "promise")
_CHECKED: Final = (
    *("at", "version", "promised", "live", "low", "high", "rows", "kept", "rolled_back_to"),
    "sentence",
)


class Learning:
    """Of one server. `keeps`: it has a store of feedback."""

    def __init__(self, *, keeps: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._keeps = keeps
        self._clock = clock
        self._read: tuple[str, float, dict[str, Any]] = ("", 0.0, {})

    async def about(self, decider: Decider) -> dict[str, Any]:
        """`promise` is None where the threshold in force promises nothing, `version` where the
        router is none of a folder of versions, `feedback` where none is kept. `fixed`: the side
        that gets all; `strategy`: the one that does, without an algorithm beside it."""
        calibration = promised_by(decider)
        return {
            "promise": calibration
            and calibration.model_dump(include={"target", "limit", "promise"}),
            "fixed": decider.algorithm.fixed_route,
            "strategy": gets_all(decider),
            "version": await self._version(decider),
            "feedback": feedback() if self._keeps else None,
        }

    async def _version(self, decider: Decider) -> dict[str, Any] | None:
        if decider.router is None or decider.router_version is None:
            return None
        router, at, found = self._read
        if router != decider.router or self._clock() - at >= FRESH_SECONDS:
            found = await asyncio.to_thread(_told, place_of(decider.router))
            self._read = (decider.router, self._clock(), found)
        return {"number": decider.router_version, **found}


def _told(folder: Path) -> dict[str, Any]:
    """What stands in the files of a folder of versions; nothing of those that can't be read."""
    try:
        switches = read_pointer(folder).switches[-SWITCHES:]
    except ConfigurationError:  # the server serves on, and has told it in its log
        switches = ()
    return {
        "switches": [switch.model_dump() for switch in reversed(switches)],
        "retrained": _some(told(folder, RETRAINED), _RETRAINED),
        "checked": _some(told(folder, CHECKED), _CHECKED),
    }


def _some(facts: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    return {name: facts.get(name) for name in names} if facts else None
