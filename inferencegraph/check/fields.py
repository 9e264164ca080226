"""Misspelt, missing and mistyped fields, as kubectl's strict validation would refuse them.

Kubernetes' own types come from the kubernetes package's models, KServe's from `kserve_types`.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from inferencegraph.check.kserve_types import EXTENDS, REQUIRED, TYPES
from inferencegraph.check.pods.quantities import quantity
from inferencegraph.check.problem import Finding, Others, error, unknown

_LIST: Final = re.compile(r"list\[(.*)\]")
_DICT: Final = re.compile(r"dict\[str, (.*)\]|dict\(str, (.*)\)")
_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
_QUANTITIES: Final = ("limits", "requests")


def check_fields(content: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """All fields of an object, by its kind."""
    kind = str(content.get("kind"))
    yield from check_type(content, kind if kind in TYPES else f"V1{kind}")


def check_type(value: Any, type_name: str, field: str = "") -> Iterator[Finding]:
    """What is wrong in `value`, which should be a `type_name` and stands at `field`."""
    if value is None or type_name == "object":
        return
    if item := _LIST.fullmatch(type_name):
        if not isinstance(value, list):
            yield mistyped(value, "a list", field)
            return
        for index, part in enumerate(value):
            yield from check_type(part, item[1], f"{field}[{index}]")
    elif entry := _DICT.fullmatch(type_name):
        yield from _check_entries(value, entry[1] or entry[2], field)
    elif type_name in _SCALARS:
        yield from _check_scalar(value, type_name, field)
    elif fields := fields_of(type_name):
        yield from _check_mapping(value, type_name, fields, field)


@cache
def fields_of(type_name: str) -> Mapping[str, str]:
    """Field -> type; empty for a type whose fields are not checked."""
    own = TYPES.get(type_name)
    if own is not None:
        inherited = EXTENDS.get(type_name)
        return {**(fields_of(inherited) if inherited else {}), **own}
    # Here rather than above: the package takes a third of a second, and has no types.
    models = importlib.import_module("kubernetes.client.models")
    model = getattr(models, type_name, None)
    if model is None:
        return {}
    return {json: model.openapi_types[name] for name, json in model.attribute_map.items()}


def _check_mapping(
    value: Any, type_name: str, fields: Mapping[str, str], field: str
) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield mistyped(value, "a mapping", field)
        return
    for name, part in value.items():
        at = _join(field, name)
        if name not in fields:
            yield unknown(at, "field", name, fields)
        else:
            yield from check_type(part, fields[name], at)
    for name in REQUIRED.get(type_name, ()):
        if value.get(name) is None:
            yield error(_join(field, name), "is missing, but required")


def _check_entries(value: Any, entry_type: str, field: str) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield mistyped(value, "a mapping", field)
        return
    numbers_too = field.rpartition(".")[2] in _QUANTITIES
    for name, entry in value.items():
        if numbers_too and isinstance(entry, int | float) and not isinstance(entry, bool):
            continue
        if numbers_too and isinstance(entry, str):
            if quantity(entry) is None:
                yield error(
                    _join(field, name), f"{entry!r} is not a quantity such as 500m, 2 or 4Gi"
                )
            continue
        if entry is None and entry_type == "str":
            continue
        yield from check_type(entry, entry_type, _join(field, name))


def _check_scalar(value: Any, type_name: str, field: str) -> Iterator[Finding]:
    mistaken = isinstance(value, bool) and type_name != "bool"  # a bool is an int, to Python
    if mistaken or not isinstance(value, _SCALARS[type_name]):
        wanted = {"str": "a string", "int": "a whole number", "float": "a number"}
        yield mistyped(value, wanted.get(type_name, "true or false"), field)


def mistyped(value: Any, wanted: str, field: str) -> Finding:
    """`value` at `field` is not `wanted`, such as "a string"."""
    hint = ""
    # A condition that is no path is as wrong in quotes.
    if wanted == "a string" and isinstance(value, int | float) and not field.endswith("condition"):
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        hint = f"; write '{shown}' in quotes"
    return error(field, f"must be {wanted}, not {value!r}{hint}")


def _join(field: str, name: object) -> str:
    return f"{field}.{name}" if field else str(name)
