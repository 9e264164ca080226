"""Paths in manifests that are of this machine, and not of a pod."""

import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.containers import (
    argument,
    components,
    containers,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Finding, Others, warning

# Options and variables of ours that name a file or a folder, and what a pod has in their place.
_MODEL: Final = (
    "put the model into a claim and set env STORAGE_URI to pvc://CLAIM/PATH, which KServe mounts "
    "at /mnt/models, or name it on a hub"
)
_MOUNTED: Final = "mount it (volumes, volumeMounts), or put it into the image"
_OPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "--model_dir": ("PREDICTOR_MODEL_DIR", _MODEL),
    "--cache_import": ("PREDICTOR_CACHE_IMPORT", _MOUNTED),
    "--router": ("HEM_ROUTER", f"{_MOUNTED}, or name a storageUri"),
}
_STORAGE: Final = "STORAGE_URI"
_MODEL_MOUNT: Final = "/mnt/models"
_HOMES: Final = ("~", "./", "../", "/home/", "/Users/", "/root/")


def check_places(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """Warnings, as `hem up` runs such a manifest."""
    for role, component in components(service):
        empty = {
            str(mapping(volume).get("name"))
            for volume in sequence(component.get("volumes"))
            if "emptyDir" in mapping(volume)
        }
        for index, container in enumerate(containers(component)):
            yield from _check_container(container, empty, f"spec.{role}.containers[{index}]")
        model = mapping(component.get("model"))
        yield from _check_container(model, empty, f"spec.{role}.model")
        if _is_here(model.get("storageUri")):
            yield _local(f"spec.{role}.model.storageUri", str(model["storageUri"]), _MODEL)


def _check_container(
    container: Mapping[str, Any], empty: Set[str], field: str
) -> Iterator[Finding]:
    """`empty`: the volumes in which there is nothing when the pod starts."""
    mounts = [
        str(mapping(mount).get("mountPath"))
        for mount in sequence(container.get("volumeMounts"))
        if str(mapping(mount).get("name")) not in empty
    ]
    uri = environment(container, _STORAGE)
    if uri or "storageUri" in container:
        mounts.append(_MODEL_MOUNT)
    for option, (variable, instead) in _OPTIONS.items():
        named = (
            (option, argument(container, option)),
            (variable, environment(container, variable)),
        )
        for name, value in named:
            if _is_here(value) and not any(_below(str(value), mount) for mount in mounts):
                place = "args" if name == option else "env"
                yield _local(f"{field}.{place}", f"{name}={value}", instead)
    if _is_here(uri):
        yield _local(f"{field}.env", f"{_STORAGE}={uri}", _MODEL)


def _is_here(value: Any) -> bool:
    """Whether `value` is a path that a pod won't have: it is there on this machine, or can only
    have been meant so. A hub's id that is also a folder here counts as the folder, as `hem up` and
    the engines take it."""
    if not isinstance(value, str) or not value:
        return False
    path = value.removeprefix("file://")
    if path == value and "://" in value:
        return False
    if path.startswith(_HOMES):
        return True
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def _below(path: str, mount: str) -> bool:
    return Path(os.path.normpath(path.removeprefix("file://"))).is_relative_to(mount)


def _local(field: str, what: str, instead: str) -> Finding:
    return warning(field, f"{what}: is a path of this machine, which no pod has; {instead}")
