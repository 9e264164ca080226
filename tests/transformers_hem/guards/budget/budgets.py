"""Budgets under test, and the clock of their machine."""

from pathlib import Path
from typing import Any

from predictors.contract.usage import Usage
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.admission import Admission, Going, KeptAtEdge, admit
from transformers_hem.guards.budget.clock import Clock
from transformers_hem.guards.budget.guard import BudgetGuard
from transformers_hem.guards.budget.parameters import BudgetParameters

HOUR = 3600.0


class SetClock(Clock):
    """Somebody sets `told`, the time of the wall; `since`, that since boot, goes on by itself."""

    def __init__(self, told: float = 1e9, since: float = 100.0, boot: str = "first") -> None:
        super().__init__(boot)
        self.told, self.since = told, since

    def wall(self) -> float:
        return self.told

    def since_boot(self) -> float:
        return self.since

    def passes(self, seconds: float) -> None:
        self.told += seconds
        self.since += seconds


def budget(path: Path, clock: Clock | None = None, **parameters: Any) -> BudgetGuard:
    given = {"window": "1h", **parameters}
    return BudgetGuard(BudgetParameters(state=str(path), **given), clock)


def route(guard: BudgetGuard, client: str = "") -> str | None:
    return guard.route(Batch(1, ("x",), client=client))


async def go(
    guard: BudgetGuard,
    prompt: int = 10,
    completion: int = 20,
    client: str = "",
    model: str = "",
    forced: bool = False,
) -> Admission:
    """Raises KeptAtEdge."""
    going = Going(client, Usage(prompt, 0, completion), model, forced)
    return await admit({"BudgetGuard": guard}, going)


async def goes(guard: BudgetGuard, *tokens: int, **about: Any) -> bool:
    try:
        await go(guard, *tokens, **about)
    except KeptAtEdge as kept:
        assert kept.guard == "BudgetGuard"
        return False
    return True
