"""The kustomization fields that change objects: patches, namespace, labels, annotations, images,
replacements.

Each takes the objects, the field's value, and where it stands (for errors), and changes the
objects in place.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from inferencegraph.read.patches import apply_patches
from inferencegraph.read.replacements import apply_replacements
from inferencegraph.read.select import Objects
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
_IMAGE_FIELDS: Final = frozenset({"name", "newName", "newTag", "digest"})
# kinds that have a pod selector, where `includeSelectors` would have to write as well
_SELECTING: Final = frozenset({"Service", "Deployment", "StatefulSet", "DaemonSet", "Job"})


def set_namespace(objects: Objects, value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: must be a name, not {value!r}")
    for content in objects:
        if content.get("kind") not in _CLUSTER_KINDS:
            _metadata(content)["namespace"] = value


def add_labels(objects: Objects, value: Any, where: str) -> None:
    """`labels`: a list of {pairs, includeSelectors}."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ConfigurationError(f"{where}: must be a list of {{pairs: ...}}, not {value!r}")
    for entry in value:
        unknown = sorted(set(entry) - {"pairs", "includeSelectors", "includeTemplates"})
        if unknown:
            raise ConfigurationError(f"{where}: {unknown[0]} is not implemented here")
        if entry.get("includeSelectors") or entry.get("includeTemplates"):
            add_common_labels(objects, entry.get("pairs"), where)
        else:
            _add(objects, "labels", entry.get("pairs"), where)


def add_common_labels(objects: Objects, value: Any, where: str) -> None:
    """`commonLabels` also writes selectors and templates; KServe's kinds have neither."""
    for content in objects:
        if content.get("kind") in _SELECTING:
            name = _metadata(content).get("name")
            raise ConfigurationError(
                f"{where}: writing the selectors of {content['kind']} {name!r} is not implemented "
                "here; use labels without includeSelectors"
            )
    _add(objects, "labels", value, where)


def add_annotations(objects: Objects, value: Any, where: str) -> None:
    _add(objects, "annotations", value, where)


def set_images(objects: Objects, value: Any, where: str) -> None:
    """Renames images under every `containers` and `initContainers`, at whatever depth, which is
    how kustomize reaches the containers of kinds that it doesn't know."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ConfigurationError(f"{where}: must be a list of {{name: ...}}, not {value!r}")
    for entry in value:
        unknown = sorted(set(entry) - _IMAGE_FIELDS)
        if unknown or not entry.get("name"):
            wrong = f"{unknown[0]} is not implemented here" if unknown else "name is missing"
            raise ConfigurationError(
                f"{where}: {wrong}; fields: {', '.join(sorted(_IMAGE_FIELDS))}"
            )
        for content in objects:
            for part in _containers(content):
                image = part.get("image")
                if isinstance(image, str):
                    part["image"] = _renamed(image, entry)


def split_image(image: str) -> tuple[str, str, str]:
    """`registry:5000/name:tag@digest` -> name with registry, tag, digest; "" for what is absent."""
    rest, _, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag, digest


def _renamed(image: str, entry: Mapping[str, Any]) -> str:
    name, tag, digest = split_image(image)
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


def _add(objects: Objects, field: str, pairs: Any, where: str) -> None:
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
    "commonAnnotations": add_annotations,
    "images": set_images,
    "replacements": apply_replacements,
}
