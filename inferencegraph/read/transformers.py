"""The kustomization fields that change objects, in the table TRANSFORMERS.

Each function takes the objects, the field's value, and where it stands (for errors), and changes
the objects in place. What kustomize would do and this does not is refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import jsonpatch
import jsonpointer
import yaml

from inferencegraph.read.selection import (
    Objects,
    entries,
    object_name,
    places,
    select,
    select_named,
)
from predictors.errors import ConfigurationError

# Objects without a namespace, which kustomize's `namespace` leaves alone.
_CLUSTER_KINDS: Final = frozenset(
    {
        "Namespace",
        "ClusterServingRuntime",
        "ClusterStorageContainer",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
    }
)
# What identifies an object; kustomize keeps it unless options say otherwise.
_IDENTITY: Final = re.compile(r"/(apiVersion|kind|metadata/(name|namespace))$")
# Kinds that have a pod selector, where `includeSelectors` would have to write as well
_SELECTING: Final = frozenset({"Service", "Deployment", "StatefulSet", "DaemonSet", "Job"})


def apply_patches(objects: Objects, value: Any, where: str) -> None:
    """JSON 6902 operations. A target that selects nothing is not an error, as in kustomize."""
    for entry in entries(value, ("target", "patch"), 2, where):
        operations = list(_operations(entry.get("patch"), where))
        for content in select(objects, entry.get("target"), f"{where}: target"):
            try:
                jsonpatch.apply_patch(content, operations, in_place=True)
            except (
                jsonpatch.JsonPatchException,
                jsonpointer.JsonPointerException,
                TypeError,
            ) as error:
                raise ConfigurationError(f"{where}: {object_name(content)}: {error}") from None


def _operations(text: Any, where: str) -> Iterator[Mapping[str, Any]]:
    try:
        operations = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{where}: {' '.join(str(error).split())}") from None
    if not isinstance(operations, list) or not operations:
        raise ConfigurationError(
            f"{where}: patch must be JSON 6902 operations, a list in a string; strategic merge "
            "patches are not implemented here"
        )
    for operation in operations:
        if not isinstance(operation, Mapping) or not isinstance(operation.get("path"), str):
            raise ConfigurationError(f"{where}: {operation!r} is not a JSON 6902 operation")
        if _IDENTITY.match(operation["path"]):
            raise ConfigurationError(
                f"{where}: {operation['path']}: changing what an object is called is not "
                "implemented here"
            )
        yield operation


def set_namespace(objects: Objects, value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: must be a name, not {value!r}")
    for content in objects:
        if content.get("kind") not in _CLUSTER_KINDS:
            _metadata(content)["namespace"] = value


def add_labels(objects: Objects, value: Any, where: str) -> None:
    """`labels`: a list of {pairs, includeSelectors}."""
    for entry in entries(value, ("pairs", "includeSelectors", "includeTemplates"), 1, where):
        if entry.get("includeSelectors") or entry.get("includeTemplates"):
            add_common_labels(objects, entry.get("pairs"), where)
        else:
            _add("labels", objects, entry.get("pairs"), where)


def add_common_labels(objects: Objects, value: Any, where: str) -> None:
    """`commonLabels` also writes selectors and templates; KServe's kinds have neither."""
    for content in objects:
        if content.get("kind") in _SELECTING:
            raise ConfigurationError(
                f"{where}: writing the selectors of {object_name(content)} is not implemented "
                "here; use labels without includeSelectors"
            )
    _add("labels", objects, value, where)


def set_images(objects: Objects, value: Any, where: str) -> None:
    """Renames images under every `containers` and `initContainers`, at whatever depth, which is
    how kustomize reaches the containers of kinds that it doesn't know."""
    for entry in entries(value, ("name", "newName", "newTag", "digest"), 1, where):
        if not entry.get("name"):
            raise ConfigurationError(f"{where}: name is missing")
        for content in objects:
            for part in _containers(content):
                image = part.get("image")
                if isinstance(image, str):
                    part["image"] = _renamed(image, entry)


def apply_replacements(objects: Objects, value: Any, where: str) -> None:
    """Copies a value of one object into fields of others."""
    for entry in entries(value, ("source", "targets"), 2, where):
        copied = _source(objects, entry.get("source"), f"{where}: source")
        targets = _filled(entry, "targets", where)
        for target in entries(targets, ("select", "fieldPaths"), 2, f"{where}: targets"):
            for content in select_named(objects, target.get("select"), f"{where}: select"):
                for path in _filled(target, "fieldPaths", where):
                    for holder, key in places(content, path, where):
                        holder[key] = copied


def _source(objects: Objects, source: Any, where: str) -> str | int | float | bool:
    if not isinstance(source, Mapping):
        raise ConfigurationError(f"{where}: must be {{kind: ..., name: ..., fieldPath: ...}}")
    path = source.get("fieldPath", "metadata.name")
    which = {key: part for key, part in source.items() if key != "fieldPath"}
    selected = select_named(objects, which, where)
    if len(selected) != 1:
        raise ConfigurationError(f"{where}: {which} selects {len(selected)} objects, not one")
    values = [holder[key] for holder, key in places(selected[0], path, where)]
    if len(values) != 1 or not isinstance(values[0], str | int | float | bool):
        raise ConfigurationError(f"{where}: {path} of {which} is not a single value")
    return values[0]


def _filled(entry: Mapping[str, Any], name: str, where: str) -> list[Any]:
    values = entry.get(name)
    if not isinstance(values, list) or not values:
        raise ConfigurationError(f"{where}: {name} must be a list that is not empty")
    return values


def _renamed(image: str, entry: Mapping[str, Any]) -> str:
    """`registry:5000/name:tag@digest` with what `entry` says in place of its parts."""
    rest, _, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    name = f"{head}{slash}{name}"
    if name != entry["name"]:
        return image
    new_tag, new_digest = str(entry.get("newTag") or ""), str(entry.get("digest") or "")
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    name = str(entry.get("newName") or name)
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                yield from (part for part in value if isinstance(part, dict))
            yield from _containers(value)
    elif isinstance(node, list):
        for part in node:
            yield from _containers(part)


def _add(field: str, objects: Objects, pairs: Any, where: str) -> None:
    if not isinstance(pairs, Mapping) or not all(isinstance(v, str) for v in pairs.values()):
        raise ConfigurationError(f"{where}: must map names to strings, not {pairs!r}")
    for content in objects:
        metadata = _metadata(content)
        metadata[field] = {**(metadata.get(field) or {}), **pairs}


def _metadata(content: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(content.get("metadata"), dict):
        content["metadata"] = {}
    metadata: dict[str, Any] = content["metadata"]
    return metadata


# In kustomize's order, whatever the order in the file.
TRANSFORMERS: Final[Mapping[str, Callable[[Objects, Any, str], None]]] = {
    "patches": apply_patches,
    "namespace": set_namespace,
    "labels": add_labels,
    "commonLabels": add_common_labels,
    "commonAnnotations": partial(_add, "annotations"),
    "images": set_images,
    "replacements": apply_replacements,
}
