"""What would change in an object, as text."""

import copy
import difflib
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import yaml

# Of the server's own making.
_OWN: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return _content(before) == _content(after)


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> str:
    """A unified diff of YAML, as `kubectl diff` shows it; a Secret's values as their hashes. Empty
    where nothing changes."""
    metadata = after["metadata"]
    name = f"{after['kind']}/{metadata['name']}"
    old, new = (_text(each) if each else [] for each in (before, after))
    lines = difflib.unified_diff(old, new, f"{name} on the cluster", f"{name} applied", lineterm="")
    return "\n".join(lines)


def _text(content: Mapping[str, Any]) -> list[str]:
    shown = _content(content)
    if content.get("kind") == "Secret":
        for field in ("data", "stringData"):
            values = shown.get(field) or {}
            shown |= {field: {key: _hidden(value) for key, value in values.items()}}
    return yaml.safe_dump(shown, sort_keys=True).splitlines()


def _hidden(value: Any) -> str:
    return f"(hidden, sha256 {hashlib.sha256(str(value).encode()).hexdigest()[:8]})"


def _content(content: Mapping[str, Any]) -> dict[str, Any]:
    shown = copy.deepcopy({key: value for key, value in content.items() if key != "status"})
    for field in _OWN:
        shown["metadata"].pop(field, None)
    return shown
