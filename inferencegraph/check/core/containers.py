"""A container's own fields: name, image, ports, variables, mounts, security."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.core.probes import PROBES, check_probes
from inferencegraph.check.core.resources import check_resources
from inferencegraph.check.core.syntax import (
    at_least,
    config_key,
    dns_label,
    dns_subdomain,
    duplicates,
    is_number,
    one_choice,
    one_of,
    port_name,
    port_number,
    qualified_name,
    variable_name,
    wrong,
)
from inferencegraph.check.problem import Finding, error

_PULL: Final = ("Always", "IfNotPresent", "Never")
_MESSAGES: Final = ("File", "FallbackToLogsOnError")
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_PROPAGATIONS: Final = ("None", "HostToContainer", "Bidirectional")
_RECURSIVE: Final = ("Disabled", "IfPossible", "Enabled")
_PROFILES: Final = ("RuntimeDefault", "Unconfined", "Localhost")
_PROC_MOUNTS: Final = ("Default", "Unmasked")
_RESIZE: Final = ("NotRequired", "RestartContainer")
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_POD_FIELDS: Final = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName"),
    *("spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP"),
    "status.podIPs",
)
_OF_METADATA: Final = ("metadata.labels['", "metadata.annotations['")
_OF_RESOURCES: Final = tuple(
    f"{kind}.{name}"
    for kind in ("limits", "requests")
    for name in ("cpu", "memory", "ephemeral-storage")
)


def check_container(
    container: Mapping[str, Any], field: str, volumes: Collection[str], *, init: bool = False
) -> Iterator[Finding]:
    """`volumes`: the names of the pod's; `init`: an init container."""
    name = container.get("name")
    if not name:
        yield error(f"{field}.name", "is missing, but required")
    yield from wrong(f"{field}.name", name or None, dns_label)
    yield from _check_image(container.get("image"), f"{field}.image")
    yield from one_of(f"{field}.imagePullPolicy", container.get("imagePullPolicy"), _PULL, "policy")
    message = "terminationMessagePolicy"
    yield from one_of(f"{field}.{message}", container.get(message), _MESSAGES, "policy")
    yield from _check_ports(container.get("ports"), f"{field}.ports")
    yield from _check_environment(container, field)
    yield from _check_mounts(container, field, volumes)
    yield from _check_security(
        mapping(container.get("securityContext")), f"{field}.securityContext"
    )
    yield from check_resources(container.get("resources"), f"{field}.resources")
    for index, policy in enumerate(sequence(container.get("resizePolicy"))):
        place = f"{field}.resizePolicy[{index}]"
        resource, restart = (mapping(policy).get(n) for n in ("resourceName", "restartPolicy"))
        yield from one_of(f"{place}.resourceName", resource, ("cpu", "memory"), "resource")
        yield from one_of(f"{place}.restartPolicy", restart, _RESIZE, "policy")
    restarts = container.get("restartPolicy") == "Always"
    if init and not restarts:
        for part in (*PROBES, "lifecycle"):
            if container.get(part) is not None:
                yield error(f"{field}.{part}", "an init container has none, as it ends; remove it")
    else:
        yield from check_probes(container, field)
    if container.get("restartPolicy") is not None and (not init or not restarts):
        only = "must be Always" if init else "is for init containers"
        yield error(f"{field}.restartPolicy", f"{container['restartPolicy']!r}: {only}")


def _check_image(image: Any, field: str) -> Iterator[Finding]:
    if image is None or image == "":
        yield error(field, "is missing, but required")
    elif isinstance(image, str) and image != image.strip():
        yield error(field, f"{image!r} has blanks at its ends; remove them")


def _check_ports(ports: Any, field: str) -> Iterator[Finding]:
    inside = [mapping(port) for port in sequence(ports)]
    yield from duplicates(field, enumerate(port.get("name") for port in inside), "port")
    together = enumerate(
        (port.get("containerPort"), str(port.get("protocol") or "TCP"))
        if is_number(port.get("containerPort"))
        else None
        for port in inside
    )
    for finding in duplicates(field, together, "port", ""):
        yield error(finding.field, "the same number and protocol stand there twice; keep one")
    for index, port in enumerate(inside):
        place = f"{field}[{index}]"
        if port.get("containerPort") is None:
            yield error(f"{place}.containerPort", "is missing, but required")
        yield from port_number(f"{place}.containerPort", port.get("containerPort"))
        yield from port_number(f"{place}.hostPort", port.get("hostPort"), 0)
        yield from wrong(f"{place}.name", port.get("name") or None, port_name)
        yield from one_of(f"{place}.protocol", port.get("protocol"), _PROTOCOLS, "protocol")


def _check_environment(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    inside = [mapping(entry) for entry in sequence(container.get("env"))]
    yield from duplicates(f"{field}.env", enumerate(e.get("name") for e in inside), "variable")
    for index, entry in enumerate(inside):
        place = f"{field}.env[{index}]"
        if not entry.get("name"):
            yield error(f"{place}.name", "is missing, but required")
        yield from wrong(f"{place}.name", entry.get("name") or None, variable_name)
        source = entry.get("valueFrom")
        if source is None:
            continue
        if entry.get("value"):
            yield error(f"{place}.valueFrom", "stands beside a value; keep one of the two")
        if isinstance(source, dict):
            yield from _check_value_from(source, f"{place}.valueFrom")
    for index, each in enumerate(sequence(container.get("envFrom"))):
        place, part = f"{field}.envFrom[{index}]", mapping(each)
        refs = ("configMapRef", "secretRef")
        yield from one_choice(place, [r for r in refs if part.get(r) is not None], refs, "source")
        yield from wrong(f"{place}.prefix", part.get("prefix") or None, variable_name)
        for ref in refs:
            if part.get(ref) is not None and not mapping(part[ref]).get("name"):
                yield error(f"{place}.{ref}.name", "is missing, but required")


def _check_value_from(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    given = [name for name in _SOURCES if source.get(name) is not None]
    yield from one_choice(field, given, _SOURCES, "source")
    if "fieldRef" in given:
        path = mapping(source["fieldRef"]).get("fieldPath")
        place = f"{field}.fieldRef.fieldPath"
        if not path:
            yield error(place, "is missing, but required")
        elif isinstance(path, str) and not path.startswith(_OF_METADATA):
            yield from one_of(place, path, _POD_FIELDS, "field of a pod")
    if "resourceFieldRef" in given:
        resource = mapping(source["resourceFieldRef"]).get("resource")
        place = f"{field}.resourceFieldRef.resource"
        if not resource:
            yield error(place, "is missing, but required")
        elif "hugepages-" not in str(resource):
            yield from one_of(place, resource, _OF_RESOURCES, "resource")
    for ref in ("configMapKeyRef", "secretKeyRef"):
        part = mapping(source.get(ref))
        for name, check in (("name", dns_subdomain), ("key", config_key)):
            if ref in given and not part.get(name):
                yield error(f"{field}.{ref}.{name}", "is missing, but required")
            yield from wrong(f"{field}.{ref}.{name}", part.get(name) or None, check)


def _check_mounts(
    container: Mapping[str, Any], field: str, volumes: Collection[str]
) -> Iterator[Finding]:
    inside = [mapping(mount) for mount in sequence(container.get("volumeMounts"))]
    paths = enumerate(mount.get("mountPath") or None for mount in inside)
    for finding in duplicates(f"{field}.volumeMounts", paths, "mount", "mountPath"):
        yield error(finding.field, "another volume is mounted there, too")
    for index, mount in enumerate(inside):
        place = f"{field}.volumeMounts[{index}]"
        name, path = mount.get("name"), mount.get("mountPath")
        if not name:
            yield error(f"{place}.name", "is missing, but required")
        elif isinstance(name, str) and name not in volumes:
            there = ", ".join(sorted(volumes)) or "none"
            yield error(f"{place}.name", f"there is no volume {name!r}; volumes: {there}")
        if not path:
            yield error(f"{place}.mountPath", "is missing, but required")
        elif ":" in str(path):
            yield error(f"{place}.mountPath", f"{path!r} must not contain :")
        for part in ("subPath", "subPathExpr"):
            below = mount.get(part)
            if isinstance(below, str) and (below.startswith("/") or ".." in below.split("/")):
                yield error(
                    f"{place}.{part}", f"{below!r} must be below the volume: no / first, no .."
                )
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield error(f"{place}.subPathExpr", "stands beside subPath; keep one of the two")
        propagation = mount.get("mountPropagation")
        yield from one_of(f"{place}.mountPropagation", propagation, _PROPAGATIONS, "propagation")
        privileged = mapping(container.get("securityContext")).get("privileged")
        if propagation == "Bidirectional" and privileged is not True:
            yield error(f"{place}.mountPropagation", "Bidirectional is for privileged containers")
        recursive = mount.get("recursiveReadOnly")
        yield from one_of(f"{place}.recursiveReadOnly", recursive, _RECURSIVE, "value")


def check_profiles(context: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """What a pod's and a container's securityContext share."""
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        yield from at_least(f"{field}.{name}", context.get(name), 0)
    for name in ("seccompProfile", "appArmorProfile"):
        profile = context.get(name)
        if not isinstance(profile, dict):
            continue
        kind, place = profile.get("type"), f"{field}.{name}"
        if not kind:
            yield error(f"{place}.type", "is missing, but required")
        yield from one_of(f"{place}.type", kind, _PROFILES, "type")
        if (kind == "Localhost") != bool(profile.get("localhostProfile")):
            yield error(
                f"{place}.localhostProfile", "belongs to the type Localhost, which needs it"
            )


def _check_security(context: Mapping[str, Any], field: str) -> Iterator[Finding]:
    yield from check_profiles(context, field)
    yield from one_of(f"{field}.procMount", context.get("procMount"), _PROC_MOUNTS, "procMount")
    if context.get("allowPrivilegeEscalation") is False:
        place = f"{field}.allowPrivilegeEscalation"
        if context.get("privileged") is True:
            yield error(
                place, "is false beside privileged: true; a privileged container can always"
            )
        added = sequence(mapping(context.get("capabilities")).get("add"))
        if "SYS_ADMIN" in added or "CAP_SYS_ADMIN" in added:
            yield error(place, "is false beside the capability SYS_ADMIN, which allows it")


def check_claims(container: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for index, claim in enumerate(sequence(mapping(container.get("resources")).get("claims"))):
        yield from wrong(
            f"{field}.resources.claims[{index}].name", mapping(claim).get("name"), qualified_name
        )
