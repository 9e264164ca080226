"""What Kubernetes refuses of the objects beside the models: budgets, network policies, Ingresses.

Their fields and types are checked by schema; here is what no schema says.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.parts import Part, check_choices, check_ranges, parts, whole
from inferencegraph.check.pods.scheduling import check_selector
from inferencegraph.check.pods.syntax import LABEL, PERCENTAGE, PORT_NAME, SERVICE_NAME, SUBDOMAIN
from inferencegraph.check.problem import Finding, Others, error, unknown

_PORT: Final = (1, 65535)
_POLICY_TYPES: Final = ("Ingress", "Egress")
_WILDCARD: Final = "*."
# By kind, where a name is not a subdomain.
_NAMES: Final = {"Namespace": LABEL, "Service": SERVICE_NAME}


def check_object_name(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    metadata = mapping(content.get("metadata"))
    name, syntax = metadata.get("name"), _NAMES.get(str(content.get("kind")), SUBDOMAIN)
    if not name and not metadata.get("generateName"):
        yield error("metadata.name", "is missing, but required")
    elif name is not None and (fault := syntax.fault(name)):
        yield error("metadata.name", fault)


def check_disruption_budget(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    spec = mapping(content.get("spec"))
    limits = {name: spec.get(name) for name in ("minAvailable", "maxUnavailable")}
    given = {name: value for name, value in limits.items() if value is not None}
    if len(given) > 1:
        yield error("spec", "has minAvailable and maxUnavailable; give one")
    for name, value in given.items():
        if isinstance(value, str) and (fault := PERCENTAGE.fault(value)):
            yield error(f"spec.{name}", fault)
        elif not isinstance(value, str) and (whole(value) is None or value < 0):
            yield error(f"spec.{name}", f"is {value!r}; write a number or a percentage")
    yield from check_selector(mapping(spec.get("selector")), "spec.selector")


def check_network_policy(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    spec = mapping(content.get("spec"))
    yield from check_selector(mapping(spec.get("podSelector")), "spec.podSelector")
    for index, name in enumerate(sequence(spec.get("policyTypes"))):
        if name not in _POLICY_TYPES:
            yield unknown(f"spec.policyTypes[{index}]", "type", name, _POLICY_TYPES)
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule, field in parts(spec.get(direction), f"spec.{direction}"):
            for peer, at in parts(rule.get(side), f"{field}.{side}"):
                yield from _check_peer(peer, at)
            for port, at in parts(rule.get("ports"), f"{field}.ports"):
                yield from _check_policy_port(port, at)


def _check_peer(peer: Part, field: str) -> Iterator[Finding]:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if name in peer]
    if not given or ("ipBlock" in given and len(given) > 1):
        yield error(field, "needs podSelector, namespaceSelector, or both; or ipBlock alone")
    for name in given[:2]:
        yield from check_selector(mapping(peer.get(name)), f"{field}.{name}")
    block = mapping(peer.get("ipBlock"))
    whole_block = _network(block.get("cidr"))
    if "cidr" in block and whole_block is None:
        yield error(f"{field}.ipBlock.cidr", f"is {block['cidr']!r}; write it as 10.0.0.0/8")
    for index, text in enumerate(sequence(block.get("except"))):
        inner = _network(text)
        if inner is None or (whole_block is not None and not _within(inner, whole_block)):
            at = f"{field}.ipBlock.except[{index}]"
            yield error(at, f"is {text!r}; it must be a part of cidr, as 10.1.0.0/16")


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: Any) -> _Network | None:
    try:
        return ipaddress.ip_network(text) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def _within(inner: _Network, outer: _Network) -> bool:
    return (
        inner.version == outer.version
        and inner.prefixlen > outer.prefixlen
        and inner.network_address in outer
    )


def _check_policy_port(port: Part, field: str) -> Iterator[Finding]:
    yield from check_choices(port, field, {"protocol": ("TCP", "UDP", "SCTP")})
    number, end = port.get("port"), whole(port.get("endPort"))
    yield from check_ranges(port, field, {"port": _PORT, "endPort": _PORT})
    if isinstance(number, str) and (fault := PORT_NAME.fault(number)):
        yield error(f"{field}.port", fault)
    if end is not None and (whole(number) is None or end < (whole(number) or 0)):
        yield error(f"{field}.endPort", "needs a port that is a number, and not above it")


def check_ingress(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    spec = mapping(content.get("spec"))
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield error("spec", "needs rules or a defaultBackend")
    if "defaultBackend" in spec:
        yield from _check_backend(mapping(spec["defaultBackend"]), "spec.defaultBackend")
    for rule, field in parts(spec.get("rules"), "spec.rules"):
        yield from _check_host(rule.get("host"), f"{field}.host")
        for path, at in parts(mapping(rule.get("http")).get("paths"), f"{field}.http.paths"):
            yield from _check_path(path, at)
    for tls, field in parts(spec.get("tls"), "spec.tls"):
        for index, host in enumerate(sequence(tls.get("hosts"))):
            yield from _check_host(host, f"{field}.hosts[{index}]")


def _check_host(host: Any, field: str) -> Iterator[Finding]:
    if not isinstance(host, str) or not host:
        return
    if fault := SUBDOMAIN.fault(host.removeprefix(_WILDCARD)):
        yield error(field, fault)
    elif _is_address(host):
        yield error(field, f"is {host!r}, an address; a host has a name")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_path(path: Part, field: str) -> Iterator[Finding]:
    kinds = ("Exact", "Prefix", "ImplementationSpecific")
    yield from check_choices(path, field, {"pathType": kinds})
    text = path.get("path")
    if path.get("pathType") in kinds[:2] and not str(text or "").startswith("/"):
        yield error(f"{field}.path", f"is {text!r}; it must begin with /")
    yield from _check_backend(mapping(path.get("backend")), f"{field}.backend")


def _check_backend(backend: Part, field: str) -> Iterator[Finding]:
    if len([name for name in ("service", "resource") if backend.get(name)]) != 1:
        yield error(field, "needs either service or resource")
        return
    service = mapping(backend.get("service"))
    if not service:
        return
    if fault := SERVICE_NAME.fault(service.get("name")):
        yield error(f"{field}.service.name", fault)
    port = mapping(service.get("port"))
    if ("name" in port) == ("number" in port):
        yield error(f"{field}.service.port", "needs either a number or a name")
    yield from check_ranges(port, f"{field}.service.port", {"number": _PORT})
    if fault := PORT_NAME.fault(port.get("name")):
        yield error(f"{field}.service.port.name", fault)
