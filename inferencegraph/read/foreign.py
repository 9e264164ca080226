"""What a kustomization would fetch from the network or run, refused before kubectl sees it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from inferencegraph.read.documents import parse
from inferencegraph.read.kustomization import fields_of, names, refuse_remote, required_file
from predictors.errors import ConfigurationError

_FOLDERS: Final = ("resources", "bases", "components")
_PLUGINS: Final = ("generators", "transformers", "validators")
_CHARTS: Final = ("helmCharts", "helmChartInflationGenerator", "helmGlobals")
# Fields, at whatever depth, whose strings are paths.
_PATHS: Final = frozenset(
    {"path", "paths", "files", "env", "envs", "configurations", "crds", "patchesStrategicMerge"}
)
_TEXTS: Final = ("commonAnnotations", "commonLabels", "labels", "metadata")
_BUILTIN: Final = "builtin"


def refuse(folder: Path) -> None:
    """Raises ConfigurationError for a remote base, a plugin and a chart, in the kustomization of
    `folder` and in all that it names."""
    waiting, seen = [folder], {folder}
    while waiting:
        here = waiting.pop()
        file = required_file(here, "Kustomization")
        for named in _checked(here, file):
            if named not in seen:
                seen.add(named)
                waiting.append(named)


def _checked(folder: Path, file: Path) -> Iterator[Path]:
    """The folders that the kustomization names, after it was found to be harmless."""
    fields = fields_of(file)
    for name in _CHARTS:
        if name in fields:
            raise ConfigurationError(
                f"{file}: {name}: no chart is fetched or rendered here; render it first (helm "
                "template CHART > rendered.yaml) and name that under resources"
            )
    for entry in _paths({name: fields[name] for name in fields if name not in _TEXTS}):
        refuse_remote(entry, file)
    for name in _PLUGINS:
        for entry in names(fields, name, file):
            _refuse_plugin(folder, entry, file, name)
    for name in _FOLDERS:
        for entry in names(fields, name, file):
            refuse_remote(entry, file)
            path = (folder / entry).resolve()
            if not path.exists():  # kustomize would look for it in the network
                raise ConfigurationError(f"{file}: {name}: {entry}: no such file or directory")
            if path.is_dir():
                yield path


def _paths(value: Any, inside: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _paths(part, name in _PATHS)
    elif isinstance(value, list):
        for part in value:
            yield from _paths(part, inside)
    elif inside and isinstance(value, str) and "\n" not in value:
        yield value
        yield value.partition("=")[2]  # of NAME=PATH


def _refuse_plugin(folder: Path, entry: str, file: Path, name: str) -> None:
    refuse_remote(entry, file)
    path = folder / entry
    if "\n" in entry:
        try:
            documents = list(yaml.safe_load_all(entry))
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{file}: {name}: {' '.join(str(error).split())}") from None
    elif path.is_file():
        documents = parse(path)
    else:
        raise ConfigurationError(f"{file}: {name}: {entry} is no file; name each of its files")
    for document in documents:
        version = document.get("apiVersion") if isinstance(document, Mapping) else None
        kind = document.get("kind") if isinstance(document, Mapping) else None
        if version != _BUILTIN or kind == "HelmChartInflationGenerator":
            raise ConfigurationError(
                f"{file}: {name}: {version} {kind} is a plugin, and none is run here; those of "
                f"kustomize's own have the apiVersion {_BUILTIN}"
            )
        for path_there in _paths(document):
            refuse_remote(path_there, file)
