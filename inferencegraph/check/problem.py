"""What a check gets and gives: the other objects beside a manifest, and what is wrong in it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from predictors.errors import known

Severity = Literal["error", "warning", "note"]
Objects = Mapping[str, Mapping[str, Any]]  # by name


@dataclass(frozen=True, slots=True)
class Problem:
    """`object` is Kind/name, `field` a path in it such as `spec.nodes.root.steps[0].condition`;
    `message` names the value and the way out. An error will not work; a warning may not; a note
    says what was not checked. rule: which check found it, see `rules`."""

    severity: Severity
    object: str
    field: str
    message: str
    file: Path | None = None
    line: int | None = None
    rule: str = ""

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        where = f"{self.file}{line}: " if self.file else ""
        return f"{where}{self.object}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A Problem as a check gives it, which knows the field but not whose it is."""

    severity: Severity
    field: str
    message: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """The objects that a manifest can name: those of its namespace, and those without one.

    `complete`: no others exist, so that a name which is not here is an error.
    """

    services: Objects = field(default_factory=dict)
    runtimes: Objects = field(default_factory=dict)
    complete: bool = False
    storages: Objects = field(default_factory=dict)  # ClusterStorageContainers

    def missing(self, field: str, kind: str, name: str, names: Iterable[str]) -> Finding:
        """What to say of a `name` that is not among `names`: an error where it looks misspelt."""
        names = list(names)
        if self.complete or get_close_matches(name, names, n=1, cutoff=0.8):
            return error(field, f"unknown {kind} {name!r}; {known(name, names, brief=True)}")
        return warning(
            field, f"no {kind} {name!r} in these manifests; the cluster must have it already"
        )


def of_rule(rule: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings under the name of a rule, where they have no other."""
    return (each if each.rule else replace(each, rule=rule) for each in findings)


def error(field: str, message: str) -> Finding:
    return Finding("error", field, message)


def warning(field: str, message: str) -> Finding:
    return Finding("warning", field, message)


def note(field: str, message: str) -> Finding:
    return Finding("note", field, message)


def unknown(field: str, kind: str, value: object, names: Iterable[str]) -> Finding:
    """An error about a `value` that is not among `names`."""
    return error(field, f"unknown {kind} {value!r}; {known(value, names, brief=True)}")
