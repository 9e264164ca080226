"""A pod of a Deployment: its own fields, and what is in it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.core.containers import check_container, check_profiles
from inferencegraph.check.core.scheduling import check_scheduling
from inferencegraph.check.core.syntax import (
    at_least,
    dns_label,
    dns_subdomain,
    duplicates,
    ip_address,
    is_number,
    one_of,
    qualified_name,
    wrong,
)
from inferencegraph.check.core.volumes import check_volumes
from inferencegraph.check.problem import Finding, error

_DNS: Final = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_MOST_NAMESERVERS: Final = 3
# Fields that hold the name of something.
_NAMES: Final = (
    *("nodeName", "serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName"),
    "schedulerName",
)


def check_pod(
    pod: Mapping[str, Any], field: str, places: Sequence[str], brought: Sequence[str] = ()
) -> Iterator[Finding]:
    """`places`: the field of each container in turn, as its user wrote it; `brought`: volumes that
    KServe adds."""
    volumes = sequence(pod.get("volumes"))
    yield from check_volumes(volumes, f"{field}.volumes")
    names = {str(mapping(volume).get("name")) for volume in volumes} | {*brought}
    containers = [mapping(each) for each in sequence(pod.get("containers"))]
    initial = [mapping(each) for each in sequence(pod.get("initContainers"))]
    for container, place in zip(containers, places, strict=False):
        yield from check_container(container, place, names)
    for index, container in enumerate(initial):
        place = f"{field}.initContainers[{index}]"
        yield from check_container(container, place, names, init=True)
    together = enumerate(each.get("name") for each in containers)
    yield from duplicates(f"{field}.containers", together, "container")
    yield from check_scheduling(pod, field)
    yield from _check_own(pod, field)
    yield from _check_network(pod, field, containers, places)


def _check_own(pod: Mapping[str, Any], field: str) -> Iterator[Finding]:
    restart = pod.get("restartPolicy")
    yield from one_of(f"{field}.restartPolicy", restart, ("Always",), "policy of a Deployment")
    for name in _NAMES:
        yield from wrong(f"{field}.{name}", pod.get(name) or None, dns_subdomain)
    for name in ("hostname", "subdomain"):
        yield from wrong(f"{field}.{name}", pod.get(name) or None, dns_label)
    grace = "terminationGracePeriodSeconds"
    yield from at_least(f"{field}.{grace}", pod.get(grace), 0)
    if pod.get("activeDeadlineSeconds") is not None:
        yield error(f"{field}.activeDeadlineSeconds", "a Deployment's pods have none; remove it")
    context = mapping(pod.get("securityContext"))
    yield from check_profiles(context, f"{field}.securityContext")
    yield from one_of(
        f"{field}.securityContext.fsGroupChangePolicy",
        context.get("fsGroupChangePolicy"),
        ("OnRootMismatch", "Always"),
        "policy",
    )
    policy = pod.get("preemptionPolicy")
    yield from one_of(
        f"{field}.preemptionPolicy", policy, ("Never", "PreemptLowerPriority"), "policy"
    )
    yield from one_of(
        f"{field}.os.name", mapping(pod.get("os")).get("name"), ("linux", "windows"), "system"
    )
    for index, gate in enumerate(sequence(pod.get("readinessGates"))):
        kind = mapping(gate).get("conditionType")
        yield from wrong(f"{field}.readinessGates[{index}].conditionType", kind, qualified_name)
    if pod.get("shareProcessNamespace") is True and pod.get("hostPID") is True:
        yield error(f"{field}.shareProcessNamespace", "stands beside hostPID; keep one of the two")


def _check_network(
    pod: Mapping[str, Any],
    field: str,
    containers: Sequence[Mapping[str, Any]],
    places: Sequence[str],
) -> Iterator[Finding]:
    policy, config = pod.get("dnsPolicy"), mapping(pod.get("dnsConfig"))
    servers = sequence(config.get("nameservers"))
    yield from one_of(f"{field}.dnsPolicy", policy, _DNS, "policy")
    if policy == "None" and not servers:
        yield error(f"{field}.dnsConfig.nameservers", "dnsPolicy None needs at least one")
    if len(servers) > _MOST_NAMESERVERS:
        yield error(f"{field}.dnsConfig.nameservers", f"at most {_MOST_NAMESERVERS}")
    for index, server in enumerate(servers):
        yield from wrong(f"{field}.dnsConfig.nameservers[{index}]", server, ip_address)
    for index, alias in enumerate(sequence(pod.get("hostAliases"))):
        place = f"{field}.hostAliases[{index}]"
        yield from wrong(f"{place}.ip", mapping(alias).get("ip") or "", ip_address)
        for place_in, name in enumerate(sequence(mapping(alias).get("hostnames"))):
            yield from wrong(f"{place}.hostnames[{place_in}]", name, dns_subdomain)
    if pod.get("hostNetwork") is not True:
        return
    for container, at in zip(containers, places, strict=False):
        for index, each in enumerate(sequence(container.get("ports"))):
            port = mapping(each)
            host, own = port.get("hostPort"), port.get("containerPort")
            if is_number(host) and host != 0 and host != own:
                yield error(
                    f"{at}.ports[{index}].hostPort",
                    f"must equal containerPort {own} with hostNetwork",
                )
