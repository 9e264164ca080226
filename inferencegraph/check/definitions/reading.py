"""CRDs in files, as YAML or JSON, gzipped or not."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.definitions.definition import Definition
from inferencegraph.read.documents import SUFFIXES
from predictors.errors import ConfigurationError, first_line

KIND: Final = "CustomResourceDefinition"
VERSION: Final = "apiextensions.k8s.io/v1"
_PACKED: Final = ".gz"
# LibYAML's is twenty times faster, and KServe's CRDs have two megabytes.
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_definitions(path: Path) -> list[Definition]:
    """Every CRD in a file, or anywhere in a folder, whose other files are passed over.

    Raises ConfigurationError, also where there is none.
    """
    files = sorted(each for each in path.rglob("*") if _is_read(each)) if path.is_dir() else [path]
    found = [each for file in files for each in _of_file(file)]
    if not found:
        raise ConfigurationError(
            f"{path}: no {KIND} in there; kubectl get crd -o yaml > crds.yaml writes a cluster's"
        )
    return found


def _is_read(path: Path) -> bool:
    name = path.name.lower().removesuffix(_PACKED)
    return name.endswith(SUFFIXES) and path.is_file()


def _of_file(path: Path) -> Iterator[Definition]:
    text = _text(path)
    if KIND not in text:  # which spares most of a folder's files the parsing
        return
    for content in _objects(_parsed(text, path)):
        if content.get("kind") == KIND:
            yield from definitions_of(content, path)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix.lower() == _PACKED:
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text ({error.reason})") from error
    except (OSError, EOFError, zlib.error) as error:
        words = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path}: {words}") from error


def _parsed(text: str, path: Path) -> list[Any]:
    if text.lstrip().startswith("{"):
        with suppress(ValueError):  # it may be YAML's
            return [json.loads(text)]
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{path}: can't be read: {first_line(error)}") from error


def _objects(items: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Also those in lists, as `kubectl get crd` prints them."""
    for item in map(mapping, items):
        if str(item.get("kind")).endswith("List"):
            own = {"kind": str(item["kind"]).removesuffix("List"), "apiVersion": VERSION}
            yield from _objects([{**own, **mapping(each)} for each in sequence(item.get("items"))])
        else:
            yield item


def definitions_of(content: Mapping[str, Any], path: Path) -> Iterator[Definition]:
    """Each version of one CRD. Raises ConfigurationError."""
    name = mapping(content.get("metadata")).get("name")
    if content.get("apiVersion") != VERSION:
        raise ConfigurationError(
            f"{path}: {KIND} {name!r} is {content.get('apiVersion')}; only {VERSION} has a schema "
            "for each version"
        )
    spec = mapping(content.get("spec"))
    group, kind = spec.get("group"), mapping(spec.get("names")).get("kind")
    for version in map(mapping, sequence(spec.get("versions"))):
        schema = mapping(mapping(version.get("schema")).get("openAPIV3Schema"))
        if not (group and kind and version.get("name") and schema):
            raise ConfigurationError(
                f"{path}: {KIND} {name!r} has no group, kind, version or schema"
            )
        served = version.get("served") is not False
        yield Definition(str(group), str(version["name"]), str(kind), schema, path, served)
