"""Kubernetes' strategic merge, by which KServe puts a service's own over a ServingRuntime's."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# Lists whose items are merged where this field is the same; all other lists are replaced.
MERGE_KEYS: Final = {
    "containers": "name",
    "env": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_PLACEHOLDER: Final = re.compile(r"\{\{\s*\.(\w+)(?:\.([\w-]+))?\s*\}\}")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def merged(base: Any, over: Any) -> dict[str, Any]:
    """`over` on `base`; what is empty in `over` doesn't count."""
    result = dict(base) if isinstance(base, dict) else {}
    for name, value in over.items() if isinstance(over, dict) else ():
        if value in _EMPTY:
            continue
        there = result.get(name)
        key = MERGE_KEYS.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            result[name] = merged(there, value)
        elif key and isinstance(value, list) and isinstance(there, list):
            result[name] = _merged_list(there, value, key)
        else:
            result[name] = value
    return result


def merged_container(base: Any, over: Any) -> dict[str, Any]:
    """Arguments follow those of the runtime; a value drives out where another came from."""
    result = merged(base, over)
    arguments = [*_listed(base, "args"), *_listed(over, "args")]
    if arguments:
        result["args"] = arguments
    own = {str(variable.get("name")): variable for variable in _mappings(_listed(over, "env"))}
    environment = []
    for variable in _listed(result, "env"):
        instead = own.get(str(variable.get("name"))) if isinstance(variable, dict) else None
        if instead and variable.get("value") and variable.get("valueFrom") is not None:
            lost = "value" if instead.get("valueFrom") is not None else "valueFrom"
            variable = {name: part for name, part in variable.items() if name != lost}
        environment.append(variable)
    return {**result, "env": environment} if environment else result


def _merged_list(there: list[Any], over: list[Any], key: str) -> list[Any]:
    """Items that both have are merged; those of `over` come first, where the order of `there`
    doesn't say otherwise."""
    if not all(isinstance(item, dict) for item in (*there, *over)):
        return over
    order = [item.get(key) for item in there]
    ours = [
        merged(there[order.index(item.get(key))], item) if item.get(key) in order else dict(item)
        for item in over
    ]
    named = [item.get(key) for item in ours]
    theirs = [item for item in there if item.get(key) not in named]
    result: list[Any] = []
    while ours and theirs:
        mine, other = ours[0].get(key), theirs[0].get(key)
        first = mine not in order or order.index(mine) < order.index(other)
        result.append((ours if first else theirs).pop(0))
    return [*result, *ours, *theirs]


def filled(part: Any, metadata: Mapping[str, Any]) -> Any:
    """`part` with `{{.Name}}`, `{{.Labels.x}}` and the like replaced by the object's own."""
    if isinstance(part, dict):
        return {name: filled(value, metadata) for name, value in part.items()}
    if isinstance(part, list):
        return [filled(value, metadata) for value in part]
    return _PLACEHOLDER.sub(lambda found: _value(found, metadata), part) if _text(part) else part


def _text(part: Any) -> bool:
    return isinstance(part, str) and "{{" in part


def _value(found: re.Match[str], metadata: Mapping[str, Any]) -> str:
    name, inner = found[1][0].lower() + found[1][1:], found[2]
    value = metadata.get(name)
    if inner is not None:
        value = value.get(inner) if isinstance(value, dict) else None
    return found[0] if value is None else str(value)


def _listed(part: Any, name: str) -> Sequence[Any]:
    value = part.get(name) if isinstance(part, dict) else None
    return value if isinstance(value, list) else []


def _mappings(items: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, dict)]
