"""The kustomization field `replacements`: a value of one object, copied into fields of others."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from inferencegraph.read.select import Objects, select_named
from predictors.errors import ConfigurationError

# A step of a field path that chooses elements of a list: [name=kserve-container].
_CHOICE = re.compile(r"\[([^=\]]+)=([^\]]*)\]")


def apply_replacements(objects: Objects, value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise ConfigurationError(f"{where}: must be a list of {{source: ..., targets: ...}}")
    for entry in value:
        _known(entry, {"source", "targets"}, where)
        copied = _source(objects, entry.get("source"), f"{where}: source")
        for target in _list(entry, "targets", where):
            if not isinstance(target, Mapping):
                raise ConfigurationError(f"{where}: targets: {target!r} is no mapping")
            _known(target, {"select", "fieldPaths"}, f"{where}: targets")
            for content in select_named(objects, target.get("select"), f"{where}: select"):
                _fill(content, _list(target, "fieldPaths", where), copied, where)


def _source(objects: Objects, source: Any, where: str) -> str | int | float | bool:
    if not isinstance(source, Mapping):
        raise ConfigurationError(f"{where}: must be {{kind: ..., name: ..., fieldPath: ...}}")
    path = source.get("fieldPath", "metadata.name")
    which = {key: part for key, part in source.items() if key != "fieldPath"}
    found = select_named(objects, which, where)
    if len(found) != 1:
        raise ConfigurationError(f"{where}: {which} selects {len(found)} objects, not one")
    values = [holder[key] for holder, key in _places(found[0], path, where)]
    if len(values) != 1 or not isinstance(values[0], str | int | float | bool):
        raise ConfigurationError(f"{where}: {path} of {which} is no single value")
    return values[0]


def _fill(content: dict[str, Any], paths: list[Any], copied: Any, where: str) -> None:
    for path in paths:
        for holder, key in _places(content, path, where):
            holder[key] = copied


def _places(content: dict[str, Any], path: Any, where: str) -> list[tuple[Any, Any]]:
    """Holder and key of each place that is there. Raises where there is none."""
    if not isinstance(path, str) or not path:
        raise ConfigurationError(f"{where}: {path!r} is no field path")
    *steps, last = (step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path))
    holders: list[Any] = [content]
    for step in steps:
        holders = [holder[key] for holder in holders for key in _keys(holder, step)]
    places = [(holder, key) for holder in holders for key in _keys(holder, last)]
    if not places:
        name = f"{content.get('kind')} {(content.get('metadata') or {}).get('name')!r}"
        raise ConfigurationError(f"{where}: {name} has no field {path}")
    return places


def _keys(holder: Any, step: str) -> Iterator[Any]:
    if isinstance(holder, dict):
        if step == "*":
            yield from holder
        elif step in holder:
            yield step
    elif isinstance(holder, list):
        choice = _CHOICE.fullmatch(step)
        for index, item in enumerate(holder):
            chosen = choice and isinstance(item, dict) and str(item.get(choice[1])) == choice[2]
            if step == "*" or step == str(index) or chosen:
                yield index


def _known(entry: Mapping[str, Any], fields: set[str], where: str) -> None:
    unknown = sorted(set(entry) - fields)
    if unknown:
        raise ConfigurationError(f"{where}: {unknown[0]} is not implemented here")


def _list(entry: Mapping[str, Any], name: str, where: str) -> list[Any]:
    values = entry.get(name)
    if not isinstance(values, list) or not values:
        raise ConfigurationError(f"{where}: {name} must be a list that is not empty")
    return values
