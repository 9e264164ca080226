"""Step conditions: gjson paths that are wrong, or that hold when nobody wants them to."""

import re
from collections.abc import Iterator
from typing import Final

from inferencegraph.build.graph import routed_to
from inferencegraph.check.problem import (
    Finding,
    error,
    warning,
)
from inferencegraph.router.conditions import Condition
from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_ROUTE,
)
from predictors.errors import ConfigurationError

_COMPARES: Final = re.compile(r"[=!<>%]")
_ROUTE_VALUE: Final = re.compile(rf'{HEM_ROUTE}\s*==\s*"([^"]*)"')
_EXAMPLE: Final = routed_to(CLOUD)


def check_condition(path: str, field: str) -> Iterator[Finding]:
    try:
        condition = Condition(path)
    except (ConfigurationError, ValueError) as refused:
        yield error(field, str(refused))
        return
    if condition.left_open:
        yield error(field, f"{path!r}: a bracket is never closed; write for example {_EXAMPLE}")
    elif _COMPARES.search(path) and "#(" not in path:
        yield error(field, f"{path!r} compares outside of #(...), so never holds; use {_EXAMPLE}")
    elif "parameters." in path and not _COMPARES.search(path):
        yield warning(
            field, f"{path!r} holds whenever the parameter exists, also for false; use {_EXAMPLE}"
        )
    for route in _ROUTE_VALUE.findall(path):
        if route not in (EDGE, CLOUD):
            yield error(field, f"{HEM_ROUTE} is {EDGE!r} or {CLOUD!r}, never {route!r}")
