"""Volumes: one name, one source, and what that source needs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.core.syntax import (
    at_least,
    config_key,
    dns_label,
    dns_subdomain,
    duplicates,
    is_number,
    one_choice,
    one_of,
    quantity_of,
    wrong,
)
from inferencegraph.check.problem import Finding, error

# Each source -> the fields that it can't be without.
SOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "awsElasticBlockStore": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "azureFile": ("secretName", "shareName"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "configMap": ("name",),
    "csi": ("driver",),
    "downwardAPI": (),
    "emptyDir": (),
    "ephemeral": ("volumeClaimTemplate",),
    "fc": (),
    "flexVolume": ("driver",),
    "flocker": (),
    "gcePersistentDisk": ("pdName",),
    "gitRepo": ("repository",),
    "glusterfs": ("endpoints", "path"),
    "hostPath": ("path",),
    "image": (),
    "iscsi": ("targetPortal", "iqn"),
    "nfs": ("server", "path"),
    "persistentVolumeClaim": ("claimName",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "projected": (),
    "quobyte": ("registry", "volume"),
    "rbd": ("monitors", "image"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "secret": ("secretName",),
    "storageos": (),
    "vsphereVolume": ("volumePath",),
}
_HOST_TYPES: Final = (
    *("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File"),
    *("Socket", "CharDevice", "BlockDevice"),
)
_PROJECTED: Final = (
    "secret",
    "downwardAPI",
    "configMap",
    "serviceAccountToken",
    "clusterTrustBundle",
)
_LARGEST_MODE: Final = 0o777


def check_volumes(volumes: Any, field: str) -> Iterator[Finding]:
    inside = [mapping(volume) for volume in sequence(volumes)]
    yield from duplicates(field, enumerate(v.get("name") for v in inside), "volume")
    for index, volume in enumerate(inside):
        place = f"{field}[{index}]"
        if not volume.get("name"):
            yield error(f"{place}.name", "is missing, but required")
        yield from wrong(f"{place}.name", volume.get("name") or None, dns_label)
        given = [name for name in SOURCES if volume.get(name) is not None]
        yield from one_choice(place, given, SOURCES, "source") if len(given) != 1 else ()
        for name in given:
            yield from _check_source(name, mapping(volume[name]), f"{place}.{name}")


def _check_source(name: str, source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for needed in SOURCES[name]:
        if not source.get(needed):
            yield error(f"{field}.{needed}", "is missing, but required")
    mode = source.get("defaultMode")
    if is_number(mode) and not 0 <= mode <= _LARGEST_MODE:
        yield error(f"{field}.defaultMode", f"must be from 0 to 0777, not {mode}")
    check = _CHECKS.get(name)
    if check is not None:
        yield from check(source, field)
    yield from _check_items(source.get("items"), f"{field}.items", name)


def _check_host_path(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    yield from one_of(f"{field}.type", source.get("type"), _HOST_TYPES, "type")
    if ".." in str(source.get("path", "")).split("/"):
        yield error(f"{field}.path", f"{source['path']!r} must not go up by ..")


def _check_empty_dir(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    medium = source.get("medium")
    if isinstance(medium, str) and not medium.startswith("HugePages"):
        yield from one_of(f"{field}.medium", medium, ("", "Memory"), "medium")
    limit = quantity_of(source.get("sizeLimit"))
    if limit is not None and limit < 0:
        yield error(f"{field}.sizeLimit", f"{source['sizeLimit']!r}: must be 0 or more")


def _check_claim(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    yield from wrong(f"{field}.claimName", source.get("claimName") or None, dns_subdomain)


def _check_nfs(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    path = source.get("path")
    if isinstance(path, str) and path and not path.startswith("/"):
        yield error(f"{field}.path", f"{path!r} must begin with /")


def _check_projected(source: Mapping[str, Any], field: str) -> Iterator[Finding]:
    for index, each in enumerate(sequence(source.get("sources"))):
        part, place = mapping(each), f"{field}.sources[{index}]"
        given = [name for name in _PROJECTED if part.get(name) is not None]
        yield from one_choice(place, given, _PROJECTED, "source") if len(given) != 1 else ()
        token = mapping(part.get("serviceAccountToken"))
        if "serviceAccountToken" in given:
            if not token.get("path"):
                yield error(f"{place}.serviceAccountToken.path", "is missing, but required")
            place = f"{place}.serviceAccountToken.expirationSeconds"
            yield from at_least(place, token.get("expirationSeconds"), 600)
        for name in ("secret", "configMap", "downwardAPI"):
            inside = mapping(part.get(name))
            if name in given and name != "downwardAPI" and not inside.get("name"):
                yield error(f"{field}.sources[{index}].{name}.name", "is missing, but required")
            items = f"{field}.sources[{index}].{name}.items"
            yield from _check_items(inside.get("items"), items, name)


def _check_items(items: Any, field: str, source: str) -> Iterator[Finding]:
    for index, each in enumerate(sequence(items)):
        item, place = mapping(each), f"{field}[{index}]"
        path = item.get("path")
        if not path:
            yield error(f"{place}.path", "is missing, but required")
        elif isinstance(path, str) and (path.startswith("/") or ".." in path.split("/")):
            yield error(f"{place}.path", f"{path!r} must be below the volume: no / first, no ..")
        if source in ("configMap", "secret"):
            if not item.get("key"):
                yield error(f"{place}.key", "is missing, but required")
            yield from wrong(f"{place}.key", item.get("key") or None, config_key)
        mode = item.get("mode")
        if is_number(mode) and not 0 <= mode <= _LARGEST_MODE:
            yield error(f"{place}.mode", f"must be from 0 to 0777, not {mode}")


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Finding]]]] = {
    "emptyDir": _check_empty_dir,
    "hostPath": _check_host_path,
    "nfs": _check_nfs,
    "persistentVolumeClaim": _check_claim,
    "projected": _check_projected,
}
