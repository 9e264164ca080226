"""What stands around a pod: how many, and how a new version takes the old one's place."""

import re
from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.core.syntax import is_number, one_of
from inferencegraph.check.problem import Finding, error

_PERCENT: Final = re.compile(r"\d+%")
_STRATEGIES: Final = ("RollingUpdate", "Recreate")


def check_strategy(strategy: Any, field: str) -> Iterator[Finding]:
    part = mapping(strategy)
    kind, rolling = part.get("type"), part.get("rollingUpdate")
    yield from one_of(f"{field}.type", kind, _STRATEGIES, "strategy")
    if kind == "Recreate" and rolling is not None:
        yield error(f"{field}.rollingUpdate", "does not go with the type Recreate; remove it")
    amounts = {name: mapping(rolling).get(name) for name in ("maxUnavailable", "maxSurge")}
    for name, amount in amounts.items():
        place = f"{field}.rollingUpdate.{name}"
        if is_number(amount) and amount < 0:
            yield error(place, f"must be 0 or more, not {amount}")
        elif isinstance(amount, str):
            if not _PERCENT.fullmatch(amount):
                yield error(place, f"{amount!r} is neither a number nor a percentage such as 25%")
            elif name == "maxUnavailable" and int(amount[:-1]) > 100:
                yield error(place, f"{amount!r} is above 100%")
    if all(_is_none(amount) for amount in amounts.values()):
        yield error(
            f"{field}.rollingUpdate", "maxSurge and maxUnavailable are both 0: nothing could change"
        )


def _is_none(amount: Any) -> bool:
    return (amount == 0 and not isinstance(amount, bool)) or amount == "0%"
