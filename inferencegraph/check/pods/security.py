"""securityContext, of a pod and of a container."""

from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.parts import (
    Part,
    check_choices,
    check_ranges,
    check_required,
    check_syntax,
    check_unique,
    parts,
)
from inferencegraph.check.pods.syntax import RELATIVE_PATH
from inferencegraph.check.problem import Finding, error

_IDS: Final = (0, (1 << 31) - 1)
_USERS: Final = {"runAsUser": _IDS, "runAsGroup": _IDS, "fsGroup": _IDS}
_PROFILES: Final = {"type": ("Localhost", "RuntimeDefault", "Unconfined")}
_POLICIES: Final = {
    "fsGroupChangePolicy": ("Always", "OnRootMismatch"),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "seLinuxChangePolicy": ("MountOption", "Recursive"),
}
_LOCAL: Final = "localhostProfile"


def check_pod_security(spec: Part) -> Iterator[Finding]:
    field = "securityContext"
    context = mapping(spec.get(field))
    yield from _check_common(context, field)
    yield from check_choices(context, field, _POLICIES)
    for index, group in enumerate(sequence(context.get("supplementalGroups"))):
        at = f"{field}.supplementalGroups[{index}]"
        yield from check_ranges({"": group}, at, {"": _IDS})
    yield from check_unique(context.get("sysctls"), f"{field}.sysctls", "name")
    for sysctl, at in parts(context.get("sysctls"), f"{field}.sysctls"):
        yield from check_required(sysctl, at, ("name",))
    if spec.get("shareProcessNamespace") is True and spec.get("hostPID") is True:
        yield error("shareProcessNamespace", "there is hostPID already; keep one")
    if spec.get("hostUsers") is False:
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(name) is True:
                yield error(name, "must not be set where hostUsers is false")


def check_security(context: Any, field: str) -> Iterator[Finding]:
    """Of a container."""
    context = mapping(context)
    yield from _check_common(context, field)
    yield from check_choices(context, field, {"procMount": ("Default", "Unmasked")})
    if context.get("allowPrivilegeEscalation") is not False:
        return
    if context.get("privileged") is True:
        yield error(
            f"{field}.privileged", "contradicts allowPrivilegeEscalation: false; keep one of them"
        )
    if "CAP_SYS_ADMIN" in sequence(mapping(context.get("capabilities")).get("add")):
        yield error(
            f"{field}.capabilities.add",
            "CAP_SYS_ADMIN contradicts allowPrivilegeEscalation: false; keep one of them",
        )


def _check_common(context: Part, field: str) -> Iterator[Finding]:
    yield from check_ranges(context, field, _USERS)
    for name in ("seccompProfile", "appArmorProfile"):
        if isinstance(profile := context.get(name), dict):
            yield from _check_profile(profile, f"{field}.{name}")


def _check_profile(profile: Part, field: str) -> Iterator[Finding]:
    yield from check_required(profile, field, ("type",))
    yield from check_choices(profile, field, _PROFILES)
    if profile.get("type") == "Localhost":
        yield from check_required(profile, field, (_LOCAL,))
        if field.endswith("seccompProfile"):  # AppArmor's is a name
            yield from check_syntax(profile, field, {_LOCAL: RELATIVE_PATH})
    elif profile.get(_LOCAL) is not None:
        yield error(f"{field}.{_LOCAL}", "is only for the type Localhost")
