"""Requests and limits."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.core.syntax import qualified_name, quantity_of
from inferencegraph.check.problem import Finding, error
from predictors.errors import known

_STANDARD: Final = ("cpu", "memory", "ephemeral-storage")
_HUGE: Final = "hugepages-"
_NATIVE: Final = "kubernetes.io/"


def check_resources(resources: Any, field: str) -> Iterator[Finding]:
    parts = {kind: mapping(mapping(resources).get(kind)) for kind in ("limits", "requests")}
    for kind, amounts in parts.items():
        for name, amount in amounts.items():
            yield from _check_amount(str(name), amount, f"{field}.{kind}.{name}")
    yield from _compared(parts["requests"], parts["limits"], field)


def _check_amount(name: str, amount: Any, field: str) -> Iterator[Finding]:
    if "/" not in name and name not in _STANDARD and not name.startswith(_HUGE):
        yield error(
            field, f"unknown resource {name!r}; {known(name, _STANDARD)}, or vendor.com/NAME"
        )
    elif (says := qualified_name(name)) is not None:
        yield error(field, f"{name!r}: {says}")
    number = quantity_of(amount)
    if number is None:
        return  # its syntax is the schema's to say
    if number < 0:
        yield error(field, f"{amount!r}: must be 0 or more")
    elif _is_extended(name) and number != int(number):
        yield error(field, f"{amount!r}: {name} is counted in whole ones")


def _compared(
    requests: Mapping[str, Any], limits: Mapping[str, Any], field: str
) -> Iterator[Finding]:
    for name, amount in requests.items():
        asked, limit = quantity_of(amount), quantity_of(limits.get(name))
        whole = _is_extended(str(name)) or str(name).startswith(_HUGE)
        if asked is None:
            continue
        if whole and name not in limits:
            yield error(
                f"{field}.limits", f"{name}: requests {amount}, but has no limit, which it needs"
            )
        elif limit is not None and whole and asked != limit:
            yield error(
                f"{field}.requests.{name}",
                f"requests {amount} and limits {limits[name]} differ; Kubernetes wants them equal",
            )
        elif limit is not None and asked > limit:
            yield error(f"{field}.requests.{name}", f"{amount} is above its limit {limits[name]}")
    names = {str(name) for name in (*requests, *limits)}
    if any(name.startswith(_HUGE) for name in names) and not names & {"cpu", "memory"}:
        yield error(field, "huge pages need cpu or memory beside them")


def _is_extended(name: str) -> bool:
    return "/" in name and _NATIVE not in name
