"""The kustomization field `patches`: JSON 6902 operations on the objects that a target selects."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonpatch
import jsonpointer
import yaml

from inferencegraph.read.select import Objects, select
from predictors.errors import ConfigurationError

# What identifies an object; kustomize keeps it unless told otherwise by options.
_IDENTITY: Final = re.compile(r"/(apiVersion|kind|metadata/(name|namespace))$")


def apply_patches(objects: Objects, value: Any, where: str) -> None:
    """A target that selects nothing is none of kustomize's errors, and none here."""
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ConfigurationError(f"{where}: must be a list of {{target: ..., patch: ...}}")
    for entry in value:
        unknown = sorted(set(entry) - {"target", "patch"})
        if unknown:
            raise ConfigurationError(f"{where}: {unknown[0]} is not implemented here")
        operations = list(_operations(entry.get("patch"), where))
        for content in select(objects, entry.get("target"), f"{where}: target"):
            _apply(content, operations, where)


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
            raise ConfigurationError(f"{where}: {operation!r} is no JSON 6902 operation")
        if _IDENTITY.match(operation["path"]):
            raise ConfigurationError(
                f"{where}: {operation['path']}: changing what an object is called is not "
                "implemented here"
            )
        yield operation


def _apply(content: dict[str, Any], operations: list[Mapping[str, Any]], where: str) -> None:
    name = f"{content.get('kind')} {(content.get('metadata') or {}).get('name')!r}"
    try:
        jsonpatch.apply_patch(content, operations, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError) as error:
        raise ConfigurationError(f"{where}: {name}: {error}") from None
