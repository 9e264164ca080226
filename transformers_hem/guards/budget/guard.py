"""Keeps requests at the edge once what may be spent in the cloud is spent."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from predictors.contract import EDGE
from predictors.contract.usage import Usage
from predictors.errors import ConfigurationError
from predictors.prices import Prices, read_prices
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.admission import Going, KeptAtEdge
from transformers_hem.guards.base import Guard
from transformers_hem.guards.budget.amounts import NANO, Amounts, amounts_of
from transformers_hem.guards.budget.clock import Clock, machine_clock
from transformers_hem.guards.budget.gauges import BUDGETS
from transformers_hem.guards.budget.parameters import BudgetParameters
from transformers_hem.guards.budget.state import Busy, State, Taken, Unusable

logger = logging.getLogger("kserve.hem")

MOST_CLIENTS: Final = 10_000  # with a budget each; later ones share one
_ALL: Final = ""
_OTHERS: Final = "others"
BUSY_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.002
_MOMENT_SECONDS: Final = 0.05


class BudgetGuard(Guard):
    """An attempt takes its estimate before it leaves, and is put right once it is known what it
    used. Nobody knows that of V2 requests, and of attempts of a process that was killed: there the
    estimate stands."""

    counts: ClassVar[bool] = True
    Parameters: ClassVar[type[AlgorithmParameters]] = BudgetParameters

    def __init__(self, parameters: BudgetParameters, clock: Clock | None = None) -> None:
        self._parameters = parameters
        self._prices = _prices(parameters.prices) if parameters.money is not None else None
        path = Path(parameters.state).absolute()
        self._state = State(path, parameters.window, clock or machine_clock())
        self._clients: set[str] = set()
        self._read: dict[str, tuple[float, bool]] = {}  # when, and whether it was spent
        self._told = False
        BUDGETS.add(self)

    def route(self, batch: Batch) -> Route | None:
        """What was read a moment ago will do: `admit` reads it again before anything leaves."""
        client, now = self._whose(batch.client), time.monotonic()
        at, spent = self._read.get(client, (-math.inf, False))
        if now - at > _MOMENT_SECONDS:
            spent = self._is_spent(client)
            if len(self._read) > MOST_CLIENTS:
                self._read.clear()
            self._read[client] = (now, spent)
            self._tell(spent)
        return EDGE if spent else None

    def _is_spent(self, client: str) -> bool:
        try:
            used = self._state.used(client)
        except Busy:
            return False
        except Unusable:
            return True
        return self._state.closed_seconds > 0 or not self._allows(used, _ONE_MORE)

    async def admit(self, going: Going) -> "HeldBudget | None":
        models = (going.model, self._parameters.model)
        amounts = amounts_of(going.usage, self._prices, *models)
        client = self._whose(going.client)
        limited = self._parameters.hard or not going.forced
        allows = (lambda used: self._allows(used, amounts)) if limited else _anything
        try:
            taken = await self._taken(client, amounts, allows)
        except (Unusable, Busy) as error:
            if limited:
                raise KeptAtEdge(str(error) or "the budget's file is busy") from None
            return None
        self._read.pop(client, None)
        if taken is None:
            raise KeptAtEdge(f"the budget of {self.shown} has no room for this request")
        return HeldBudget(self._state, taken, self._prices, self._parameters.model)

    def close(self) -> None:
        BUDGETS.discard(self)
        self._state.close()

    @property
    def shown(self) -> str:
        """What may be spent, for people."""
        left = [f"{limit:g} {unit}" for unit, limit in self._limits().items()]
        return f"{', '.join(left)} in {self._parameters.window:g} s"

    def left(self) -> dict[str, float] | None:
        """By unit; None where nobody knows. Empty where each client has a budget of its own."""
        if self._parameters.per == "client":
            return {}
        try:
            used = self._state.used(_ALL)
        except (Unusable, Busy):
            return None
        if self._state.closed_seconds:
            return dict.fromkeys(self._limits(), 0.0)
        return {
            unit: max(0.0, limit - self._of(used, unit)) for unit, limit in self._limits().items()
        }

    def _limits(self) -> dict[str, float]:
        allowed = self._parameters
        currency = self._prices.currency if self._prices else ""
        limits = {currency: allowed.money, "tokens": allowed.tokens, "requests": allowed.requests}
        return {unit: limit for unit, limit in limits.items() if limit is not None}

    def _of(self, used: Amounts, unit: str) -> float:
        match unit:
            case "requests":
                return used.requests
            case "tokens":
                return self._tokens(used)
        return used.cost / NANO

    def _allows(self, used: Amounts, more: Amounts) -> bool:
        """Whether both together are within all limits."""
        limits = self._parameters
        after = used.plus(more)
        return not (
            (limits.requests is not None and after.requests > limits.requests)
            or (limits.tokens is not None and self._tokens(after) > limits.tokens)
            or (limits.money is not None and after.cost > round(limits.money * NANO))
        )

    def _tokens(self, amounts: Amounts) -> int:
        match self._parameters.counted:
            case "input":
                return amounts.input
            case "output":
                return amounts.output
        return amounts.input + amounts.output

    def _whose(self, client: str) -> str:
        if self._parameters.per == "all":
            return _ALL
        if client not in self._clients:
            if len(self._clients) >= MOST_CLIENTS:
                return _OTHERS
            self._clients.add(client)
        return f"client {client}"

    async def _taken(
        self, client: str, amounts: Amounts, allows: Callable[[Amounts], bool]
    ) -> Taken | None:
        """Raises Unusable; Busy where others write for longer than a moment."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return self._state.take(client, amounts, allows)
            except Busy:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    def _tell(self, spent: bool) -> None:
        if self._parameters.per == "all" and spent != self._told:
            self._told = spent
            logger.warning("budget: %s: %s", self.shown, "used up" if spent else "left again")


# The least that a request takes of each.
_ONE_MORE: Final = Amounts(1, 1, 1, 1)


def _anything(used: Amounts) -> bool:
    return True


class HeldBudget:
    """What an attempt has taken."""

    def __init__(self, state: State, taken: Taken, prices: Prices | None, model: str) -> None:
        self._state = state
        self._taken = taken
        self._prices = prices
        self._model = model

    def settle(self, usage: Usage | None, model: str) -> None:
        """One that used no tokens was no request either."""
        if usage is None:
            return
        used = amounts_of(usage, self._prices, model, self._model)
        self._state.correct(self._taken, used if usage != Usage() else Amounts())


def _prices(path: str) -> Prices:
    try:
        return read_prices(Path(path))
    except ConfigurationError as error:
        raise ConfigurationError(f"BudgetGuard: prices {error}") from None
