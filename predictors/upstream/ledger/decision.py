"""Why a request leaves: what mining and its guards decided, for the lines of the ledger.

Only names and numbers pass, never a text that a caller may have written.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from predictors.contract.names import (
    CLOUD,
    HEM_ALGORITHM,
    HEM_PREFER,
    HEM_PREFIX,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    HEM_STRATEGY,
    HEM_THRESHOLD,
)

# Verdicts of guards, each with its version: `privacy@3=clear budget@1=clear`.
HEM_GUARDS: Final = "hem_guards"
NAMES: Final = (
    *(HEM_ROUTE, HEM_REASON, HEM_STRATEGY, HEM_ALGORITHM, HEM_SCORE, HEM_THRESHOLD, HEM_GUARDS),
)
_NAME: Final = re.compile(r"[\w.:@=+/-]{1,64}", re.ASCII)
_VERDICTS: Final = re.compile(r"[\w.:@=+-]{1,64}(?: [\w.:@=+-]{1,64}){0,15}", re.ASCII)
_HEADER: Final = "x-"
# Reasons of decisions that ask for one side's answer and take nobody else's: the caller forces it,
# or both sides' answers are compared.
PREFER: Final = "prefer"
FORCING: Final = frozenset({PREFER, "shadow"})

DECISION: ContextVar[Mapping[str, Any]] = ContextVar("decision", default={})  # noqa: B039


@contextmanager
def decided(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Within it, calls leave by the decision in a request's V2 parameters, where it has one."""
    found = {
        name.removeprefix(HEM_PREFIX): parameters[name]
        for name in NAMES
        if name in parameters and _is_plain(name, parameters[name])
    }
    if not found:
        yield
        return
    token = DECISION.set(found)
    try:
        yield
    finally:
        DECISION.reset(token)


def wished(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the caller's `hem_prefer` as the decision, where nobody has mined the request."""
    if HEM_ROUTE in parameters or HEM_PREFER not in parameters:
        return parameters
    return {**parameters, HEM_ROUTE: parameters[HEM_PREFER], HEM_REASON: PREFER}


def forces_cloud() -> bool:
    """Whether the cloud's answer is asked for, and nobody else's is taken."""
    decision = DECISION.get()
    return decision.get("route") == CLOUD and decision.get("reason") in FORCING


def decided_headers() -> dict[str, str]:
    """The decision as headers, for a server of ours that calls the one that answers."""
    return {_header(HEM_PREFIX + name): str(value) for name, value in DECISION.get().items()}


def from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """As parameters, of headers whose names are in lower case or found whatever the case."""
    return {name: headers[_header(name)] for name in NAMES if _header(name) in headers}


def _header(name: str) -> str:
    return _HEADER + name.replace("_", "-")


def _is_plain(name: str, value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return True
    pattern = _VERDICTS if name == HEM_GUARDS else _NAME
    return isinstance(value, str) and pattern.fullmatch(value) is not None
