"""What becomes of each field of another system's file: data, and findings for `hem validate`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inferencegraph.check.problem import Finding, Severity


@dataclass(frozen=True, slots=True)
class Entry:
    """One field, or a whole part of the file. object: Kind/name of what it stands in; source: its
    path there; target: the spec's field that has it, None where there is none; word: why.

    note: it is in the spec. warning: it is left out, or means something else there. error: nobody
    can say what is meant; nothing is converted then.
    """

    object: str
    source: str
    target: str | None
    severity: Severity
    word: str

    @property
    def finding(self) -> Finding:
        said = f"is {self.target} of the spec" if self.target else "is left out"
        if self.target == self.source:
            said = "is carried over"
        word = f"{said}: {self.word}" if self.word else said
        return Finding(self.severity, self.source, self.word if self.severity == "error" else word)


Report = list[Entry]


class Source:
    """A document whose fields are taken one by one; each part of it ends in one entry."""

    def __init__(self, name: str, content: Mapping[str, Any]) -> None:
        self.name, self.content = name, content
        self.entries: Report = []

    def report(self) -> Report:
        """The entries, in the order of the document."""
        order = list(leaves(self.content))

        def place(entry: Entry) -> int:
            return next((i for i, leaf in enumerate(order) if within(leaf, entry.source)), -1)

        return sorted(self.entries, key=place)

    def get(self, path: str) -> Any:
        """The value at a path such as `spec.modules[0].name`, or None."""
        value: Any = self.content
        for step in path.replace("[", ".[").split("."):
            if step.startswith("["):
                index = int(step[1:-1])
                value = value[index] if isinstance(value, list) and index < len(value) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
        return value

    def mapped(self, path: str, target: str, word: str = "") -> Any:
        """Notes that the spec has it. Returns the value."""
        return self._entry(path, target, "note", word)

    def altered(self, path: str, target: str, word: str) -> Any:
        """Notes that the spec has it, with another meaning. Returns the value."""
        return self._entry(path, target, "warning", word)

    def left_out(self, path: str, word: str) -> None:
        self._entry(path, None, "warning", word)

    def wrong(self, path: str, word: str) -> None:
        self._entry(path, None, "error", word)

    def missing(self, path: str, word: str) -> None:
        """An error about a field that is not there, or is empty."""
        self.entries.append(Entry(self.name, path, None, "error", word))

    def rest(self, path: str, word: str) -> None:
        """Ends what is left of a part as errors."""
        for leaf in leaves(self.content):
            if within(leaf, path) and not self.covers(leaf):
                self.entries.append(Entry(self.name, leaf, None, "error", word))

    def whole(self, path: str, note: Callable[[str], object]) -> None:
        """Has `note` end what is left of a part, in pieces as large as possible."""
        if self.covers(path):
            return
        value = self.get(path)
        if not any(within(entry.source, path) for entry in self.entries):
            note(path)
        elif isinstance(value, dict):
            for name in value:
                self.whole(f"{path}.{name}", note)
        elif isinstance(value, list):
            for index in range(len(value)):
                self.whole(f"{path}[{index}]", note)

    def covers(self, leaf: str) -> bool:
        return any(within(leaf, entry.source) for entry in self.entries)

    def _entry(self, path: str, target: str | None, severity: Severity, word: str) -> Any:
        value = self.get(path)
        if value is not None or path in leaves(self.content):
            self.entries.append(Entry(self.name, path, target, severity, word))
        return value


def within(leaf: str, path: str) -> bool:
    """Whether a path is the other one, or below it; all are below an empty one."""
    return not path or leaf == path or (leaf.startswith(path) and leaf[len(path)] in ".[")


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The path of each value that is no mapping or list, or an empty one."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path


def covering(report: Sequence[Entry], name: str, leaf: str) -> list[Entry]:
    """The entries about a leaf of the document `name`."""
    return [entry for entry in report if entry.object == name and within(leaf, entry.source)]
