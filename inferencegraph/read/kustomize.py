"""Manifests from a file, a folder, or a kustomization, as `kubectl apply -f` and `-k` take them.

A kustomization is built by the kubectl or kustomize of this machine; where there is none, `core`
reads the few fields that the manifests of this project need, and refuses all others.
"""

import sys
from pathlib import Path
from typing import Any, Final

from inferencegraph.read import core, foreign, tool
from inferencegraph.read.documents import (
    SUFFIXES,
    Document,
    objects,
    read,
    refuse_duplicates,
)
from inferencegraph.read.kustomization import FILE_NAMES, kustomization_file
from predictors.errors import ConfigurationError

STDIN: Final = "-"
SHOWN_FOLDERS: Final = 6


def load(path: Path) -> list[dict[str, Any]]:
    """The objects that `path` stands for, in their order.

    Raises ConfigurationError (one line that names file, field and way out) for what can't be
    read, what is written twice, and kustomizations that can't be built.
    """
    return [document.content for document in load_documents(path)]


def load_documents(path: Path) -> list[Document]:
    """Like `load`, with the file of each object: of a kustomization, its own. A kustomization.yaml
    stands for its folder."""
    if str(path) == STDIN:
        return _from_stdin()
    if not path.exists():
        raise ConfigurationError(f"{path}: no such file or directory")
    if path.name in FILE_NAMES and path.is_file():
        path = path.parent
    if not path.is_dir():
        documents = read(path)
    elif file := kustomization_file(path):
        documents = _built(path.resolve(), file)
    elif (path / "Chart.yaml").is_file():
        raise ConfigurationError(
            f"{path}: is a Helm chart; render it first: helm template {path} > rendered.yaml"
        )
    else:
        files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
        documents = [document for file in files for document in read(file)]
    if not documents:
        raise ConfigurationError(f"{path}: no Kubernetes objects in it{_folders_below(path)}")
    refuse_duplicates(documents)
    return documents


def _from_stdin() -> list[Document]:
    documents = objects(sys.stdin.read(), Path("standard input"))
    if not documents:
        raise ConfigurationError("standard input: no Kubernetes objects in it")
    refuse_duplicates(documents)
    return documents


def _folders_below(path: Path) -> str:
    """The way out for who names a folder above the right one."""
    below = path.glob("*/") if path.is_dir() else ()
    found = [folder for each in sorted(below) for folder in _manifests_in(each)]
    if not found:
        return ""
    shown = [str(folder) for folder in found[:SHOWN_FOLDERS]]
    rest = f" and {len(found) - SHOWN_FOLDERS} more" if len(found) > SHOWN_FOLDERS else ""
    return f"; folders below have some, name one of them: {', '.join(shown)}{rest}"


def _manifests_in(folder: Path) -> list[Path]:
    """`folder`, or those in it, that have a kustomization or YAML files."""
    if kustomization_file(folder):
        return [folder]
    inner = [each for each in sorted(folder.glob("*/")) if kustomization_file(each)]
    files = (each for each in folder.iterdir() if each.suffix in SUFFIXES and each.is_file())
    return inner or [folder] * any(b"apiVersion:" in file.read_bytes() for file in files)


def _built(folder: Path, file: Path) -> list[Document]:
    foreign.refuse(folder)
    builder = tool.find()
    return core.build(folder) if builder is None else tool.build(builder, folder, file)
