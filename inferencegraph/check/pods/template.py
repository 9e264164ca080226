"""A pod template, as a Deployment has it."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.containers import check_containers
from inferencegraph.check.pods.parts import (
    REQUIRED,
    Part,
    check_choices,
    check_required,
    check_syntax,
    check_unique,
    parts,
    whole,
)
from inferencegraph.check.pods.resources import check_resources
from inferencegraph.check.pods.scheduling import check_scheduling
from inferencegraph.check.pods.security import check_pod_security
from inferencegraph.check.pods.syntax import LABEL, QUALIFIED_NAME, SUBDOMAIN
from inferencegraph.check.pods.volumes import check_volumes
from inferencegraph.check.problem import Finding, error

_CHOICES: Final = {
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "preemptionPolicy": ("Never", "PreemptLowerPriority"),
    "restartPolicy": ("Always",),
}
_NAMES: Final = {
    **dict.fromkeys(
        (
            *("serviceAccountName", "serviceAccount", "nodeName"),
            *("priorityClassName", "runtimeClassName"),
        ),
        SUBDOMAIN,
    ),
    **dict.fromkeys(("hostname", "subdomain"), LABEL),
}
_MOST_NAMESERVERS: Final = 3
DEFAULT_GRACE_SECONDS: Final = 30


def check_template(spec: Part, *, complete: bool = True) -> Iterator[Finding]:
    """What a Deployment's `spec.template.spec` is refused for, and its pod.

    complete: whatever the pod has is here; a ServingRuntime gets volumes from the services too.
    """
    yield from check_volumes(spec)
    named = {str(volume.get("name")): volume for volume, _ in parts(spec.get("volumes"), "")}
    grace = spec.get("terminationGracePeriodSeconds")
    seconds = DEFAULT_GRACE_SECONDS if grace is None else whole(grace)
    if complete and not sequence(spec.get("containers")):
        yield error("containers", REQUIRED)
    yield from check_containers(spec, named if complete else None, seconds)
    yield from check_choices(spec, "", _CHOICES)
    yield from check_syntax(spec, "", _NAMES)
    if spec.get("activeDeadlineSeconds") is not None:
        yield error("activeDeadlineSeconds", "is not for the pods of a Deployment; remove it")
    yield from check_scheduling(spec)
    yield from check_pod_security(spec)
    yield from check_resources(spec.get("resources"), (), "resources")
    yield from _check_names(spec)
    yield from _check_hosts(spec)
    yield from _check_claims(spec)


def _check_names(spec: Part) -> Iterator[Finding]:
    for gate, at in parts(spec.get("readinessGates"), "readinessGates"):
        yield from check_required(gate, at, ("conditionType",))
        yield from check_syntax(gate, at, {"conditionType": QUALIFIED_NAME})
    yield from check_unique(spec.get("schedulingGates"), "schedulingGates", "name")
    for gate, at in parts(spec.get("schedulingGates"), "schedulingGates"):
        yield from check_required(gate, at, ("name",))
        yield from check_syntax(gate, at, {"name": QUALIFIED_NAME})
    yield from check_choices(mapping(spec.get("os")), "os", {"name": ("linux", "windows")})


def _check_hosts(spec: Part) -> Iterator[Finding]:
    for alias, at in parts(spec.get("hostAliases"), "hostAliases"):
        yield from _check_address(alias.get("ip"), f"{at}.ip")
        for index, name in enumerate(sequence(alias.get("hostnames"))):
            if fault := SUBDOMAIN.fault(name):
                yield error(f"{at}.hostnames[{index}]", fault)
    field, dns = "dnsConfig.nameservers", mapping(spec.get("dnsConfig"))
    servers = sequence(dns.get("nameservers"))
    if spec.get("dnsPolicy") == "None" and not servers:
        yield error(field, "needs at least one, as dnsPolicy is None")
    if len(servers) > _MOST_NAMESERVERS:
        yield error(field, f"has {len(servers)}; at most {_MOST_NAMESERVERS} are allowed")
    for index, server in enumerate(servers):
        yield from _check_address(server, f"{field}[{index}]")
    for option, at in parts(dns.get("options"), "dnsConfig.options"):
        yield from check_required(option, at, ("name",))


def _check_address(value: Any, field: str) -> Iterator[Finding]:
    try:
        ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        yield error(field, f"{value!r} is not an IP address")


def _check_claims(spec: Part) -> Iterator[Finding]:
    sources = ("resourceClaimName", "resourceClaimTemplateName")
    yield from check_unique(spec.get("resourceClaims"), "resourceClaims", "name")
    for claim, at in parts(spec.get("resourceClaims"), "resourceClaims"):
        yield from check_required(claim, at, ("name",))
        yield from check_syntax(claim, at, {"name": LABEL, **dict.fromkeys(sources, SUBDOMAIN)})
        if sum(claim.get(source) is not None for source in sources) != 1:
            yield error(at, f"needs exactly one of {' and '.join(sources)}")
