"""Kubernetes YAML from files, with errors that name the file and the line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from predictors.errors import ConfigurationError
from predictors.strict_yaml import StrictLoader, what_is_wrong

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"  # those that ship with the project
IANVS = "ianvs.kubeedge.io"  # stands for the apiVersion that Ianvs's files don't have
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Document:
    """One Kubernetes object and the file it came from. index: which of the file's YAML documents it
    is, None where others made it; within: the path of it there, such as `items[0].` of a List.
    origins: what lines of it begin with, and the field of a spec that they come from."""

    path: Path
    content: dict[str, Any]
    index: int | None = None
    within: str = ""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


def identity(content: Mapping[str, Any]) -> tuple[str, ...]:
    """API group, kind, namespace and name: what is unique in a cluster."""
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    group = str(content.get("apiVersion", "")).rpartition("/")[0]
    rest = (content.get("kind"), metadata.get("namespace"), metadata.get("name"))
    return (group, *("" if part is None else str(part) for part in rest))


# What only a chart has, in quotes or not. Others have a meaning to KServe ('{{.Name}}') and in chat
# templates, so they are taken where the YAML can be read.
_CHART = re.compile(
    r"^(?!\s*#).*\{\{[^}]*(\.(Values|Release|Chart|Capabilities)\b|\b(toYaml|include|tpl)\s)",
    re.MULTILINE,
)
_BRACES = re.compile(r"\{\{|\{%")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(StrictLoader):
    """Reads YAML as kubectl does; a date is a string."""


_Loader.yaml_implicit_resolvers = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(path: Path) -> list[Any]:
    """Every YAML document in `path` that isn't empty. Raises ConfigurationError."""
    return [item for item in _loaded(_read(path), path) if item is not None]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text ({error.reason})") from error


def _loaded(text: str, path: Path) -> list[Any]:
    """Every document, None for an empty one."""
    if _CHART.search(text):
        raise _unrendered(path)
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        if _BRACES.search(text):
            raise _unrendered(path) from error
        raise ConfigurationError(f"{path}{what_is_wrong(error)}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: nested too deeply") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}{what_is_wrong(error)}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}") from error


def _unrendered(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: is a template with {{{{ ... }}}} in it; render it first, for example "
        "helm template CHART > rendered.yaml"
    )


def read(path: Path) -> list[Document]:
    """The objects of one file; the items of a list count as objects of their own."""
    return _documents(_read(path), path)


def objects(text: str, path: Path) -> list[Document]:
    """The objects in a text of YAML that was made of `path`, whose lines are others."""
    return [replace(document, index=None) for document in _documents(text, path)]


def _documents(text: str, path: Path) -> list[Document]:
    return [
        Document(path, content, index, within)
        for index, item in enumerate(_loaded(text, path))
        if item is not None
        for content, within in _objects(item, path)
    ]


def _objects(item: Any, path: Path, within: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in one document, each with its path there."""
    if isinstance(item, dict) and set(item) == {"algorithm"}:
        item = _of_ianvs(item, path)
    if not isinstance(item, dict) or "kind" not in item or "apiVersion" not in item:
        shown = ", ".join(map(str, item)) if isinstance(item, dict) else type(item).__name__
        raise ConfigurationError(
            f"{path}: not a Kubernetes object: apiVersion or kind is missing (found: {shown})"
        )
    kind, items = str(item["kind"]), item.get("items")
    if kind == "List" or (kind.endswith("List") and isinstance(items, list)):
        # The items of a typed list need not say again what they are.
        own = {"apiVersion": item["apiVersion"], "kind": kind.removesuffix("List")}
        own = {} if kind == "List" else own
        for index, part in enumerate(items or []):
            part = {**own, **part} if isinstance(part, dict) else part
            yield from _objects(part, path, f"{within}items[{index}].")
    else:
        yield item, within


def _of_ianvs(item: dict[str, Any], path: Path) -> dict[str, Any]:
    """A test algorithm of Ianvs, which is no object, with the name of its file."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return {"apiVersion": IANVS, "kind": "Algorithm", "metadata": {"name": name}, **item}


def refuse_duplicates(documents: list[Document]) -> None:
    """Raises ConfigurationError where two documents are the same object."""
    first: dict[tuple[str, ...], Path] = {}
    for document in documents:
        same = identity(document.content)
        if same in first:
            where = "twice" if first[same] == document.path else f"already in {first[same]}"
            raise ConfigurationError(f"{document.path}: {same[1]} {same[3]!r} is {where}; keep one")
        first[same] = document.path
