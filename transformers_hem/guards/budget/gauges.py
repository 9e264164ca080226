"""What is left of each budget of this process, for Prometheus, worked out when it asks."""

from collections.abc import Iterable
from typing import Final, Protocol
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Budget(Protocol):
    def left(self) -> dict[str, float] | None: ...


BUDGETS: Final[WeakSet[Budget]] = WeakSet()


class _Left(Collector):
    def collect(self) -> Iterable[GaugeMetricFamily]:
        left = GaugeMetricFamily(
            "hem_budget_left",
            "What may still be spent in the window, by its unit.",
            labels=["unit"],
        )
        known = GaugeMetricFamily(
            "hem_budget_known",
            "1 where the budget's file can be read; 0: nothing goes to the cloud.",
        )
        found = [budget.left() for budget in list(BUDGETS)]
        if found:
            known.add_metric([], None not in found)
        # While guards are exchanged there are two of them for a moment.
        units = {unit: amount for each in found for unit, amount in (each or {}).items()}
        for unit, amount in units.items():
            left.add_metric([unit], amount)
        return left, known


REGISTRY.register(_Left())
