"""The small core of kustomize, for machines without kubectl: resources, components, images,
namePrefix, nameSuffix and labels, as kubectl builds them (a test compares the two).

Any other field is refused, never skipped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from inferencegraph.check.kserve_types import GROUP
from inferencegraph.read.documents import Document, read
from inferencegraph.read.kustomization import fields_of, names, required_file
from inferencegraph.read.tool import KUBECTL
from predictors.errors import ConfigurationError

API_VERSIONS: Final = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_READ: Final = ("apiVersion", "kind", "metadata", "resources", "components")
_INSTALL: Final = f"install kubectl {'.'.join(map(str, KUBECTL))} or later, or kustomize"
# In which order kubectl applies: these kinds first, then the others by group, version and kind.
_FIRST: Final = (
    *("Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount"),
    *("PodSecurityPolicy", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap"),
    *("Secret", "Endpoints", "Service", "LimitRange", "PriorityClass", "PersistentVolume"),
    *("PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget"),
)

Objects = Sequence[dict[str, Any]]


def build(folder: Path) -> list[Document]:
    """The objects of a kustomization, in the order in which kubectl applies them. Raises
    ConfigurationError, which names file and field, for what only kubectl can do."""
    return sorted(_apply(folder, (), "Kustomization", []), key=_order)


def _order(document: Document) -> tuple[Any, ...]:
    content = document.content
    kind, metadata = str(content.get("kind")), content.get("metadata") or {}
    group, _, version = str(content.get("apiVersion")).rpartition("/")
    rank = _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
    return rank, group or "~", version, kind, metadata.get("namespace", ""), metadata.get("name")


def _apply(
    folder: Path, parents: tuple[Path, ...], kind: str, documents: list[Document]
) -> list[Document]:
    """`documents` plus what `folder` adds, changed as it says: resources, then components, then
    its own fields, which is kustomize's order. A component changes all of `documents`."""
    file = required_file(folder, kind)
    if any(parent.is_relative_to(folder) for parent in parents):
        raise ConfigurationError(
            f"{file}: contains {parents[-1]}, which names it; kustomize takes that for a circle"
        )
    fields = _fields(file, kind)
    parents = (*parents, folder)
    for entry in names(fields, "resources", file):
        documents = documents + _resource(folder, entry, parents, file)
    for entry in names(fields, "components", file):
        documents = _apply((folder / entry).resolve(), parents, "Component", documents)
    for name, transform in TRANSFORMERS.items():
        if name in fields:
            transform([d.content for d in documents], fields[name], f"{file}: {name}")
    return documents


def _resource(folder: Path, entry: str, parents: tuple[Path, ...], file: Path) -> list[Document]:
    path = (folder / entry).resolve()
    if path.is_dir():
        return _apply(path, parents, "Kustomization", [])
    if not path.is_relative_to(folder):
        raise ConfigurationError(
            f"{file}: resources: {entry} lies outside of {folder}, which kustomize refuses; "
            "name a folder with a kustomization.yaml instead"
        )
    return read(path)


def _fields(file: Path, expected: str) -> dict[str, Any]:
    """`expected` is the kind that the place it is named from needs."""
    fields = fields_of(file)
    kind = fields.get("kind", "Kustomization")
    if kind != expected:
        raise ConfigurationError(
            f"{file}: kind is {kind!r}, but {expected!r} is needed where it is named "
            "(Kustomization under resources, Component under components)"
        )
    version = fields.get("apiVersion", API_VERSIONS[expected])
    if version != API_VERSIONS[expected]:
        raise ConfigurationError(
            f"{file}: apiVersion is {version!r}; a {expected} has {API_VERSIONS[expected]!r}"
        )
    for name in fields:
        if name not in (*_READ, *TRANSFORMERS):
            raise _beyond(f"{file}: {name}")
    return fields


def _beyond(what: str) -> ConfigurationError:
    return ConfigurationError(f"{what} is not read without kubectl; {_INSTALL}")


def _rename(pattern: str, objects: Objects, value: Any, where: str) -> None:
    """Objects of KServe's kinds and ConfigMaps, to which kustomize renames no reference (it knows
    none of KServe's); with any other kind it may."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: must be a text, not {value!r}")
    for content in objects:
        is_ours = str(content.get("apiVersion")).startswith(f"{GROUP}/")
        if not is_ours and content.get("kind") != "ConfigMap":
            raise _beyond(f"{where}: a {content.get('kind')}, whose references are renamed too,")
        metadata = content.get("metadata") or {}
        metadata["name"] = pattern.format(name=metadata.get("name"), value=value)


def _add_labels(objects: Objects, value: Any, where: str) -> None:
    for entry in _entries(value, ("pairs",), where):
        pairs = entry.get("pairs")
        if not isinstance(pairs, Mapping) or not all(isinstance(v, str) for v in pairs.values()):
            raise ConfigurationError(f"{where}: must map names to strings, not {pairs!r}")
        for content in objects:
            metadata = content.setdefault("metadata", {})
            metadata["labels"] = {**(metadata.get("labels") or {}), **pairs}


def _set_images(objects: Objects, value: Any, where: str) -> None:
    """Renames images under every `containers` and `initContainers`, at whatever depth, which is
    how kustomize reaches the containers of kinds that it doesn't know."""
    for entry in _entries(value, ("name", "newName", "newTag", "digest"), where):
        if not entry.get("name"):
            raise ConfigurationError(f"{where}: name is missing")
        for content in objects:
            for part in _containers(content):
                image = part.get("image")
                if isinstance(image, str):
                    part["image"] = _renamed(image, entry)


def _entries(value: Any, fields: Sequence[str], where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ConfigurationError(f"{where}: must be a list of {{{fields[0]}: ...}}, not {value!r}")
    for entry in value:
        for name in entry:
            if name not in fields:
                raise _beyond(f"{where}: {name}")
    return value


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


# In kustomize's order, whatever the order in the file.
TRANSFORMERS: Final[Mapping[str, Callable[[Objects, Any, str], None]]] = {
    "namePrefix": partial(_rename, "{value}{name}"),
    "nameSuffix": partial(_rename, "{name}{value}"),
    "labels": _add_labels,
    "images": _set_images,
}
