"""Volumes of a pod, and the sources that they name."""

from collections.abc import Iterator
from typing import Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.environment import VOLUME_FIELDS, check_references
from inferencegraph.check.pods.parts import (
    Part,
    check_choices,
    check_ranges,
    check_required,
    check_syntax,
    check_unique,
    parts,
)
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.pods.syntax import (
    CONFIG_KEY,
    LABEL,
    PATH_WITHOUT_BACKSTEPS,
    RELATIVE_PATH,
)
from inferencegraph.check.problem import Finding, error, unknown

# Source -> the fields that it needs.
_SOURCES: Final[dict[str, tuple[str, ...]]] = {
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
    "storageos": ("volumeName",),
    "vsphereVolume": ("volumePath",),
}
_PROJECTED: Final[dict[str, tuple[str, ...]]] = {
    "clusterTrustBundle": ("path",),
    "configMap": ("name",),
    "downwardAPI": (),
    "secret": ("name",),
    "serviceAccountToken": ("path",),
}
_HOST_TYPES: Final = (
    *("BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate"),
    *("File", "FileOrCreate", "Socket"),
)
_ACCESS_MODES: Final = (*("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"),)
_MODE: Final = (0, 0o777)
_SHORTEST_TOKEN_SECONDS: Final = 600


def check_volumes(spec: Part) -> Iterator[Finding]:
    yield from check_unique(spec.get("volumes"), "volumes", "name")
    for volume, field in parts(spec.get("volumes"), "volumes"):
        yield from check_required(volume, field, ("name",))
        yield from check_syntax(volume, field, {"name": LABEL})
        given = [name for name in _SOURCES if volume.get(name) is not None]
        for extra in given[1:]:
            yield error(f"{field}.{extra}", f"there is {given[0]} already; keep one")
        for name in given:
            if isinstance(source := volume[name], dict):
                yield from check_required(source, f"{field}.{name}", _SOURCES[name])
                yield from _check_source(name, source, f"{field}.{name}")


def _check_source(name: str, source: Part, field: str) -> Iterator[Finding]:
    yield from check_ranges(source, field, {"defaultMode": _MODE})
    yield from _check_items(source, field)
    if name == "hostPath":
        yield from check_choices(source, field, {"type": _HOST_TYPES})
        yield from check_syntax(source, field, {"path": PATH_WITHOUT_BACKSTEPS})
    if name == "nfs" and not str(source.get("path") or "/").startswith("/"):
        yield error(f"{field}.path", f"is {source['path']!r}; it must begin with /")
    size = quantity(source.get("sizeLimit"))
    if size is not None and size < 0:
        yield error(f"{field}.sizeLimit", "must not be negative")
    if name == "ephemeral":
        template = mapping(source.get("volumeClaimTemplate"))
        yield from _check_claim(mapping(template.get("spec")), f"{field}.volumeClaimTemplate.spec")
    if name == "projected":
        for projection, at in parts(source.get("sources"), f"{field}.sources"):
            yield from _check_projection(projection, at)


def _check_claim(spec: Part, field: str) -> Iterator[Finding]:
    yield from check_required(spec, field, ("accessModes",))
    for mode in sequence(spec.get("accessModes")):
        if mode not in _ACCESS_MODES:
            yield unknown(f"{field}.accessModes", "mode", mode, _ACCESS_MODES)
    requests = mapping(mapping(spec.get("resources")).get("requests"))
    size = quantity(requests.get("storage"))
    if requests.get("storage") is None or (size is not None and size <= 0):
        yield error(f"{field}.resources.requests", "needs storage, more than 0")


def _check_projection(projection: Part, field: str) -> Iterator[Finding]:
    given = [name for name in _PROJECTED if projection.get(name) is not None]
    if len(given) != 1:
        named = " and ".join(given) or "none"
        yield error(field, f"needs exactly one of {', '.join(_PROJECTED)}; found {named}")
    for name in given:
        if isinstance(source := projection[name], dict):
            yield from check_required(source, f"{field}.{name}", _PROJECTED[name])
            yield from _check_items(source, f"{field}.{name}")
            yield from check_syntax(source, f"{field}.{name}", {"path": RELATIVE_PATH})
            seconds = {"expirationSeconds": (_SHORTEST_TOKEN_SECONDS, 1 << 32)}
            yield from check_ranges(source, f"{field}.{name}", seconds)


def _check_items(source: Part, field: str) -> Iterator[Finding]:
    """Keys of a Secret or a ConfigMap, or fields of the pod, and the files that they become."""
    for item, at in parts(source.get("items"), f"{field}.items"):
        yield from check_required(item, at, ("path",))
        yield from check_syntax(item, at, {"path": RELATIVE_PATH, "key": CONFIG_KEY})
        yield from check_ranges(item, at, {"mode": _MODE})
        if not field.endswith("downwardAPI"):
            yield from check_required(item, at, ("key",))
            continue
        yield from check_references(item, at, VOLUME_FIELDS)
        given = [name for name in ("fieldRef", "resourceFieldRef") if mapping(item.get(name))]
        if len(given) != 1:
            yield error(at, "needs exactly one of fieldRef and resourceFieldRef")
