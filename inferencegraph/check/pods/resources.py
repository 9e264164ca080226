"""What containers ask for: cpu, memory, huge pages and accelerators."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import Part, parts
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.pods.syntax import QUALIFIED_NAME
from inferencegraph.check.problem import Finding, error
from predictors.errors import known

_OWN: Final = ("cpu", "memory", "ephemeral-storage")
_HUGE: Final = "hugepages-"
_OWN_DOMAIN: Final = "kubernetes.io/"
_KINDS: Final = ("limits", "requests")


def check_resources(resources: Any, claims: Any, field: str) -> Iterator[Finding]:
    """`claims`: the pod's resourceClaims, which a container's claims name."""
    part = mapping(resources)
    amounts = {kind: mapping(part.get(kind)) for kind in _KINDS}
    for kind, named in amounts.items():
        for name, value in named.items():
            yield from _check_amount(str(name), quantity(value), f"{field}.{kind}")
    yield from _check_requests(amounts["limits"], amounts["requests"], field)
    names = {str(name) for named in amounts.values() for name in named}
    if any(name.startswith(_HUGE) for name in names) and not names & {"cpu", "memory"}:
        yield error(field, "huge pages need cpu or memory beside them")
    declared = [claim.get("name") for claim, _ in parts(claims, "")]
    for claim, at in parts(part.get("claims"), f"{field}.claims"):
        if claim.get("name") not in declared:
            yield error(f"{at}.name", f"the pod has no resourceClaim {claim.get('name')!r}")


def _check_amount(name: str, amount: Decimal | None, field: str) -> Iterator[Finding]:
    if fault := QUALIFIED_NAME.fault(name):
        yield error(field, f"a resource {fault}")
    elif "/" not in name and name not in _OWN and not name.startswith(_HUGE):
        yield error(field, f"unknown resource {name!r}; {known(name, _OWN, brief=True)}")
    elif name.startswith("requests."):
        yield error(field, f"the name {name!r} must not begin with 'requests.'")
    if amount is None:
        return
    if amount < 0:
        yield error(field, f"{name} is {amount:f}; it must not be negative")
    elif is_extended(name) and amount != amount.to_integral_value():
        yield error(field, f"{name} is {amount:f}; it must be a whole number")
    page = quantity(name.removeprefix(_HUGE)) if name.startswith(_HUGE) else None
    if page and amount % page:
        yield error(field, f"{name} must be a multiple of {name.removeprefix(_HUGE)}")


def _check_requests(limits: Mapping[str, Any], requests: Part, field: str) -> Iterator[Finding]:
    for name, value in requests.items():
        asked, limit = quantity(value), quantity(limits.get(name))
        exact = is_extended(str(name)) or str(name).startswith(_HUGE)
        if asked is None:
            continue
        if limit is None:
            if exact and limits.get(name) is None:
                yield error(
                    f"{field}.limits", f"has no {name}, which is requested; set both to the same"
                )
        elif exact and asked != limit:
            yield error(
                f"{field}.requests",
                f"{name} is {value}, but its limit {limits[name]}; Kubernetes wants them equal",
            )
        elif asked > limit:
            yield error(f"{field}.requests", f"{name} is {value}, over its limit {limits[name]}")


def is_extended(name: str) -> bool:
    """Whether a resource is a vendor's: vendor.com/device."""
    return "/" in name and _OWN_DOMAIN not in name
