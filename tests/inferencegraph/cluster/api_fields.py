"""Fields of an object by their paths, as server-side apply counts them and a schema knows them."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any


def leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of all that is not a map; a list counts as a whole."""
    if isinstance(content, dict) and content:
        for key, value in content.items():
            if path or key not in ("apiVersion", "kind"):
                yield from leaves(value, (*path, key))
    elif path not in (("metadata", "name"), ("metadata", "namespace")):
        yield path


def is_of(path: tuple[str, ...], sub: str) -> bool:
    return (path[0] == "status") == (sub == "status")


def at(content: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        content = content.get(part) if isinstance(content, dict) else None
    return content


def set_at(content: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        content = content.setdefault(part, {})
    content[path[-1]] = copy.deepcopy(value)


def remove_at(content: dict[str, Any], path: tuple[str, ...]) -> None:
    for part in path[:-1]:
        content = content.get(part, {})
    content.pop(path[-1], None)


def unknown(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """Fields that a CRD's schema does not have."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == "metadata":
        return
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from unknown(schema.get("items") or {}, each, f"{path}[{index}]")
    properties = schema.get("properties")
    if isinstance(value, dict) and properties is not None:
        for name, each in value.items():
            at = f"{path}.{name}" if path else name
            if name not in properties:
                yield at
            else:
                yield from unknown(properties[name], each, at)
