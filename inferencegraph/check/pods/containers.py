"""Containers: names, images, ports, mounts, and what stands in files of its own."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.environment import check_environment
from inferencegraph.check.pods.parts import (
    REQUIRED,
    Part,
    check_choices,
    check_ranges,
    check_required,
    check_syntax,
    check_unique,
    parts,
    whole,
)
from inferencegraph.check.pods.probes import PROBES, check_probes
from inferencegraph.check.pods.resources import check_resources
from inferencegraph.check.pods.security import check_security
from inferencegraph.check.pods.syntax import (
    LABEL,
    PATH_WITHOUT_BACKSTEPS,
    PORT_NAME,
    RELATIVE_PATH,
)
from inferencegraph.check.problem import Finding, error, unknown

_CHOICES: Final = {
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "terminationMessagePolicy": ("FallbackToLogsOnError", "File"),
}
_PORT: Final = (1, 65535)
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_MOUNT_CHOICES: Final = {
    "mountPropagation": ("Bidirectional", "HostToContainer", "None"),
    "recursiveReadOnly": ("Disabled", "Enabled", "IfPossible"),
}
_RESIZE: Final = {
    "resourceName": ("cpu", "memory"),
    "restartPolicy": ("NotRequired", "RestartContainer"),
}

Volumes = Mapping[str, Part]  # by name


def check_containers(
    spec: Part, volumes: Volumes | None, grace_seconds: int | None
) -> Iterator[Finding]:
    """All containers of a pod. `volumes`: None where not all are known, so that a mount may name
    one that is not here."""
    regular = list(parts(spec.get("containers"), "containers"))
    initial = list(parts(spec.get("initContainers"), "initContainers"))
    names: list[Any] = []
    for container, at in (*regular, *initial):
        yield from _check_container(container, at, spec, volumes)
        name = container.get("name")
        if name and name in names:
            yield error(f"{at}.name", f"another container is called {name!r} already")
        names.append(name)
    for container, at in regular:
        yield from check_probes(container, at, grace_seconds)
    for container, at in initial:
        yield from _check_initial(container, at, grace_seconds)
    yield from _check_host_ports(regular, spec.get("hostNetwork") is True)


def _check_container(
    container: Part, field: str, spec: Part, volumes: Volumes | None
) -> Iterator[Finding]:
    yield from check_required(container, field, ("name", "image"))
    yield from check_syntax(container, field, {"name": LABEL})
    image = container.get("image")
    if isinstance(image, str) and image != image.strip():
        yield error(f"{field}.image", f"is {image!r}; remove the blanks around it")
    yield from check_choices(container, field, _CHOICES)
    yield from check_unique(container.get("ports"), f"{field}.ports", "name")
    for port, at in parts(container.get("ports"), f"{field}.ports"):
        yield from _check_port(port, at)
    yield from check_environment(container, field)
    yield from _check_mounts(container, field, volumes)
    yield from _check_devices(container, field, volumes)
    resources = container.get("resources")
    yield from check_resources(resources, spec.get("resourceClaims"), f"{field}.resources")
    yield from check_security(container.get("securityContext"), f"{field}.securityContext")
    yield from check_unique(container.get("resizePolicy"), f"{field}.resizePolicy", "resourceName")
    for policy, at in parts(container.get("resizePolicy"), f"{field}.resizePolicy"):
        yield from check_required(policy, at, tuple(_RESIZE))
        yield from check_choices(policy, at, _RESIZE)


def _check_port(port: Part, field: str) -> Iterator[Finding]:
    yield from check_syntax(port, field, {"name": PORT_NAME})
    if port.get("containerPort") in (None, 0):
        yield error(f"{field}.containerPort", REQUIRED)
    else:
        yield from check_ranges(port, field, {"containerPort": _PORT})
    yield from check_ranges(port, field, {"hostPort": (0, _PORT[1])})
    yield from check_choices(port, field, {"protocol": _PROTOCOLS})


def _check_mounts(container: Part, field: str, volumes: Volumes | None) -> Iterator[Finding]:
    mounts = container.get("volumeMounts")
    yield from check_unique(mounts, f"{field}.volumeMounts", "mountPath")
    for mount, at in parts(mounts, f"{field}.volumeMounts"):
        yield from check_required(mount, at, ("name", "mountPath"))
        yield from _check_volume(mount, at, volumes)
        yield from check_syntax(mount, at, {"subPath": RELATIVE_PATH, "subPathExpr": RELATIVE_PATH})
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield error(f"{at}.subPathExpr", "there is subPath already; keep one")
        yield from check_choices(mount, at, _MOUNT_CHOICES)
        privileged = mapping(container.get("securityContext")).get("privileged") is True
        if mount.get("mountPropagation") == "Bidirectional" and not privileged:
            yield error(f"{at}.mountPropagation", "Bidirectional is for privileged containers")
        recursive = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
        if recursive and mount.get("readOnly") is not True:
            yield error(f"{at}.recursiveReadOnly", "needs readOnly: true")


def _check_devices(container: Part, field: str, volumes: Volumes | None) -> Iterator[Finding]:
    devices = container.get("volumeDevices")
    mounts = [mount for mount, _ in parts(container.get("volumeMounts"), "")]
    for name, mounted in (("name", "name"), ("devicePath", "mountPath")):
        yield from check_unique(devices, f"{field}.volumeDevices", name)
        taken = [mount.get(mounted) for mount in mounts]
        for device, at in parts(devices, f"{field}.volumeDevices"):
            if device.get(name) and device[name] in taken:
                yield error(f"{at}.{name}", f"{device[name]!r} is in volumeMounts already")
    for device, at in parts(devices, f"{field}.volumeDevices"):
        yield from check_required(device, at, ("name", "devicePath"))
        yield from check_syntax(device, at, {"devicePath": PATH_WITHOUT_BACKSTEPS})
        yield from _check_volume(device, at, volumes)
        volume = mapping((volumes or {}).get(str(device.get("name"))))
        if volume and not volume.keys() & {"persistentVolumeClaim", "ephemeral"}:
            yield error(f"{at}.name", "a device needs a persistentVolumeClaim or ephemeral volume")


def _check_volume(mount: Part, field: str, volumes: Volumes | None) -> Iterator[Finding]:
    name = mount.get("name")
    if volumes is not None and isinstance(name, str) and name and name not in volumes:
        yield unknown(f"{field}.name", "volume", name, volumes)


def _check_initial(container: Part, field: str, grace_seconds: int | None) -> Iterator[Finding]:
    policy = container.get("restartPolicy")
    yield from check_choices(container, field, {"restartPolicy": ("Always",)})
    if policy == "Always":
        yield from check_probes(container, field, grace_seconds)
        return
    for name in (*PROBES, "lifecycle"):
        if container.get(name) is not None:
            yield error(f"{field}.{name}", "an init container has it with restartPolicy: Always")


def _check_host_ports(regular: list[tuple[Part, str]], host_network: bool) -> Iterator[Finding]:
    taken: list[Any] = []
    for container, field in regular:
        for port, at in parts(container.get("ports"), f"{field}.ports"):
            host_port = whole(port.get("hostPort"))
            if not host_port:
                continue
            place = (port.get("protocol") or "TCP", port.get("hostIP") or "", host_port)
            if place in taken:
                yield error(f"{at}.hostPort", f"{host_port} is there twice")
            taken.append(place)
            if host_network and host_port != port.get("containerPort"):
                yield error(f"{at}.hostPort", "must be the containerPort where hostNetwork is true")
