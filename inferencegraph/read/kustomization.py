"""One kustomization.yaml: where it is, and its fields."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inferencegraph.read.documents import parse
from predictors.errors import ConfigurationError

FILE_NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
# How kustomize tells a place in the network from a path (its git.NewRepoSpecFromURL).
_REMOTE: Final = re.compile(
    r"^(git::)?[a-z][a-z0-9+]*://|^[\w.-]+@[\w.-]+:|^(gh|git):|^(www\.)?github\.com[/:]"
    r"|\.git(/|\?|$)|_git/|[?&](ref|version|timeout|submodules)=",
    re.IGNORECASE,
)


def kustomization_file(folder: Path) -> Path | None:
    """The kustomization of `folder`, or None. Raises ConfigurationError where it has several."""
    files = [folder / name for name in FILE_NAMES if (folder / name).is_file()]
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise ConfigurationError(f"{folder}: more than one kustomization ({names}); keep one")
    return files[0] if files else None


def required_file(folder: Path, kind: str) -> Path:
    """The kustomization of a folder that is named as a `kind`."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder (a {kind} was expected there)")
    file = kustomization_file(folder)
    if file is None:
        raise ConfigurationError(f"{folder}: has no {FILE_NAMES[0]}, but is named as a {kind}")
    return file


def fields_of(file: Path) -> dict[str, Any]:
    """The fields that are set."""
    documents = parse(file)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigurationError(f"{file}: a kustomization is one YAML mapping")
    return {str(name): value for name, value in documents[0].items() if value is not None}


def names(fields: Mapping[str, Any], name: str, file: Path) -> list[str]:
    """The entries of a field that is a list of paths."""
    entries = fields.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ConfigurationError(f"{file}: {name} must be a list of paths, not {entries!r}")
    return entries


def refuse_remote(entry: str, file: Path) -> None:
    """Raises ConfigurationError for what kustomize would fetch from the network."""
    if _REMOTE.search(entry):
        raise ConfigurationError(f"{file}: {entry} is remote; copy it here and name its path")
