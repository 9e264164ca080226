"""A Deployment's strategy, a Service's ports, an autoscaler's target."""

from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import Part, check_choices, parts, whole
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.pods.syntax import PERCENTAGE
from inferencegraph.check.problem import Finding, error

_ROLLING: Final = "RollingUpdate"
_TYPES: Final = {"type": ("Recreate", _ROLLING)}
_COUNTS: Final = ("maxSurge", "maxUnavailable")


def check_strategy(strategy: Part, field: str) -> Iterator[Finding]:
    yield from check_choices(strategy, field, _TYPES)
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        return
    if strategy.get("type") == "Recreate":
        yield error(f"{field}.rollingUpdate", "is not for the type Recreate; remove it")
        return
    counts = mapping(rolling)
    for name in _COUNTS:
        yield from _check_count(counts.get(name), f"{field}.rollingUpdate.{name}")
    unavailable = counts.get("maxUnavailable")
    if _percentage(unavailable) > 100:
        yield error(f"{field}.rollingUpdate.maxUnavailable", "must not be over 100%")
    if all(counts.get(name) in (0, "0%") for name in _COUNTS):
        yield error(
            f"{field}.rollingUpdate",
            "with maxSurge and maxUnavailable both 0 no pod could be replaced; raise one",
        )


def _check_count(value: Any, field: str) -> Iterator[Finding]:
    if fault := PERCENTAGE.fault(value):
        yield error(field, fault)
    elif (number := whole(value)) is not None and number < 0:
        yield error(field, f"is {number}; it must not be negative")


def _percentage(value: Any) -> int:
    is_one = isinstance(value, str) and PERCENTAGE.fault(value) is None
    return int(value[:-1]) if is_one else 0


def check_service_ports(ports: Any, field: str) -> Iterator[Finding]:
    """Ports of a Service, whose names must differ and be there where it has several."""
    found = list(parts(ports, field))
    names: list[Any] = []
    taken: list[Any] = []
    for port, at in found:
        name = port.get("name")
        if not name and len(found) > 1:
            yield error(f"{at}.name", "is missing; each of several ports needs one")
        names.append(name)
        place = (port.get("protocol") or "TCP", port.get("port"))
        if place in taken:
            yield error(at, f"the Service would have {place[0]} port {place[1]} twice")
        taken.append(place)


def check_metrics(metrics: Any, field: str) -> Iterator[Finding]:
    """What a HorizontalPodAutoscaler aims at."""
    for metric, at in parts(metrics, field):
        target = mapping(mapping(metric.get("resource")).get("target"))
        utilization = target.get("averageUtilization")
        value = quantity(target.get("averageValue"))
        if utilization is None and target.get("averageValue") is None:
            yield error(at, "has no averageUtilization and no averageValue to aim at")
        if (share := whole(utilization)) is not None and share < 1:
            yield error(at, f"the averageUtilization is {share}; it must be 1 or more")
        if value is not None and value <= 0:
            yield error(at, "the averageValue must be more than 0")
