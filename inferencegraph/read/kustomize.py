"""Manifests from a file, a folder, or a kustomization, as `kubectl apply -f` and `-k` take them.

Of kustomize it does what manifests of this project need, step by step as kustomize does and with
its restrictions; a field that it doesn't implement is refused, never skipped. Objects stay in the
order they are named in, where kubectl sorts them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inferencegraph.read.documents import SUFFIXES, Document, parse, read, refuse_duplicates
from inferencegraph.read.transformers import TRANSFORMERS
from predictors.errors import ConfigurationError, known

FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
API_VERSIONS: Final = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_READ_HERE: Final = ("apiVersion", "kind", "metadata", "resources", "components")
# Fields that kubectl takes and this module doesn't, with what to do instead.
_REFUSED: Final = {
    **dict.fromkeys(
        ("namePrefix", "nameSuffix"),
        "kustomize would not rename the serviceName steps and URLs that point at these objects; "
        "write the names into the manifests",
    ),
    "bases": "name the folders under resources",
    "imageTags": "use images",
}


def load(path: Path) -> list[dict[str, Any]]:
    """The objects that `path` stands for, in their order.

    Raises ConfigurationError (one line that names file, field and way out) for what can't be
    read, what is written twice, and kustomization fields that are not implemented.
    """
    return [document.content for document in load_documents(path)]


def load_documents(path: Path) -> list[Document]:
    """Like `load`, with the file of each object. A kustomization.yaml stands for its folder."""
    if not path.exists():
        raise ConfigurationError(f"{path}: no such file or directory")
    if path.name in FILE_NAMES and path.is_file():
        path = path.parent
    if path.is_file():
        documents = read(path)
    elif kustomization_file(path):
        documents = _apply(path.resolve(), (), "Kustomization", [])
    else:
        files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
        documents = [document for file in files for document in read(file)]
    if not documents:
        raise ConfigurationError(f"{path}: no Kubernetes objects in it")
    refuse_duplicates(documents)
    return documents


def kustomization_file(folder: Path) -> Path | None:
    """The kustomization of `folder`, or None. Raises ConfigurationError where it has several."""
    files = [folder / name for name in FILE_NAMES if (folder / name).is_file()]
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise ConfigurationError(f"{folder}: more than one kustomization ({names}); keep one")
    return files[0] if files else None


def _apply(
    folder: Path, parents: tuple[Path, ...], kind: str, documents: list[Document]
) -> list[Document]:
    """`documents` plus what `folder` adds, changed as it says: resources, then components, then
    its own transformers, which is kustomize's order. A component changes all of `documents`."""
    file = _required_file(folder, kind)
    if folder in parents:
        raise ConfigurationError(f"{file}: includes itself through {parents[-1]}")
    if any(parent.is_relative_to(folder) for parent in parents):
        raise ConfigurationError(
            f"{file}: contains {parents[-1]}, which names it; kustomize takes that for a circle"
        )
    fields = _read_kustomization(file, kind)
    parents = (*parents, folder)
    for entry in _names(fields, "resources", file):
        documents = documents + _resource(folder, entry, parents, file)
    for entry in _names(fields, "components", file):
        documents = _apply(_local(folder, entry, file), parents, "Component", documents)
    for name, transform in TRANSFORMERS.items():
        if name in fields:
            transform([d.content for d in documents], fields[name], f"{file}: {name}")
    return documents


def _resource(folder: Path, entry: str, parents: tuple[Path, ...], file: Path) -> list[Document]:
    path = _local(folder, entry, file)
    if path.is_dir():
        return _apply(path, parents, "Kustomization", [])
    if not path.exists():
        raise ConfigurationError(f"{file}: resources: {entry}: no such file or directory")
    if not path.is_relative_to(folder):
        raise ConfigurationError(
            f"{file}: resources: {entry} lies outside of {folder}, which kustomize refuses; "
            "name a folder with a kustomization.yaml instead"
        )
    return read(path)


def _local(folder: Path, entry: str, file: Path) -> Path:
    if "://" in entry or entry.startswith(("git@", "github.com/")):
        raise ConfigurationError(f"{file}: {entry} is remote; copy it here and name its path")
    return (folder / entry).resolve()


def _required_file(folder: Path, kind: str) -> Path:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder (a {kind} was expected there)")
    file = kustomization_file(folder)
    if file is None:
        raise ConfigurationError(f"{folder}: has no {FILE_NAMES[0]}, but is named as a {kind}")
    return file


def _read_kustomization(file: Path, expected: str) -> dict[str, Any]:
    """The fields that are set. `expected` is the kind that the place it is named from needs."""
    documents = parse(file)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigurationError(f"{file}: a kustomization is one YAML mapping")
    fields = {name: value for name, value in documents[0].items() if value is not None}
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
    names = [*_READ_HERE, *TRANSFORMERS]
    for name in fields:
        if name not in names:
            reason = _REFUSED.get(name) or known(name, names, brief=True)
            raise ConfigurationError(f"{file}: {name} is not implemented here: {reason}")
    return fields


def _names(fields: Mapping[str, Any], name: str, file: Path) -> list[str]:
    entries = fields.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ConfigurationError(f"{file}: {name} must be a list of paths, not {entries!r}")
    return entries
