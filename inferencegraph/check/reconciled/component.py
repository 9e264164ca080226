"""A component that KServe runs, and where in the user's object each part of its pod stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from inferencegraph.check.problem import Finding
from inferencegraph.check.reconciled.merging import MERGE_KEYS

_TOKEN: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_CONTAINER: Final = re.compile(r"containers\[(\d+)\]\.?")


@dataclass(frozen=True, slots=True)
class Source:
    """A part as the user wrote it, and its field."""

    field: str
    content: Any


@dataclass(frozen=True, slots=True)
class Component:
    """`name`: of its Deployment and Service. `written`: the user's component, in which the pod's
    fields stand; `containers`: the user's part of each container of the pod. `runtime`: the name
    of the ServingRuntime that gave the rest; `complete`: False where that one isn't known."""

    role: str
    name: str
    written: Source
    pod: Mapping[str, Any]
    containers: tuple[Source, ...]
    labels: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, Any] = field(default_factory=dict)
    scaling: Mapping[str, Any] = field(default_factory=dict)
    runtime: str | None = None
    complete: bool = True
    nodes: int = 1

    def told(self, finding: Finding) -> Finding:
        """A finding about a field of the pod's spec, at the field of the user's object."""
        source, rest = self.written, finding.field
        part: Any = self.pod
        if at := _CONTAINER.match(rest):
            index = int(at[1])
            part = self.pod["containers"][index]
            source, rest = self.containers[index], rest[at.end() :]
        found = _users_field(part, source.content, rest)
        if found is not None:
            where = f"{source.field}.{found}" if found else source.field
            return replace(finding, field=where)
        origin = f"ServingRuntime {self.runtime!r}" if self.runtime else "KServe"
        return replace(
            finding,
            field=source.field,
            message=f"what {origin} adds: {finding.field} {finding.message}",
        )


def _users_field(made: Any, written: Any, field: str) -> str | None:
    """`field` of what was made, in what was written; None where the user didn't write it."""
    path = ""
    name = ""
    for token in _TOKEN.finditer(field):
        if token[1] is not None:
            name = token[1]
            there = isinstance(made, dict) and made.get(name) is not None
            if not there:  # is missing, for both
                return _join(path, field[token.start() :])
            if not isinstance(written, dict) or written.get(name) is None:
                return None
            path = _join(path, name)
            made, written = made[name], written[name]
        else:
            index = int(token[2])
            found = _users_index(made, written, index, MERGE_KEYS.get(name))
            if found is None:
                return None
            path = f"{path}[{found}]"
            made, written = made[index], written[found]
    return path


def _users_index(made: Any, written: Any, index: int, key: str | None) -> int | None:
    if not isinstance(written, list):
        return None
    item = made[index]
    if index < len(written) and written[index] == item:
        return index
    for position, other in enumerate(written):
        same = isinstance(other, dict) and isinstance(item, dict) and key is not None
        if other == item or (same and other.get(str(key)) == item.get(str(key))):
            return position
    return None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
