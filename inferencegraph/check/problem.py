"""One finding about a manifest."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """`object` is Kind/name, `field` a path in it such as `spec.nodes.root.steps[0].condition`;
    `message` names the value and the way out. An error will not work; a warning may not."""

    severity: Severity
    object: str
    field: str
    message: str
    file: Path | None = None

    def __str__(self) -> str:
        where = f"{self.file}: " if self.file else ""
        return f"{where}{self.object}: {self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A Problem before it is known whose it is."""

    severity: Severity
    field: str
    message: str


def error(field: str, message: str) -> Finding:
    return Finding("error", field, message)


def warning(field: str, message: str) -> Finding:
    return Finding("warning", field, message)


def known(names: Iterable[str], wrong: object) -> str:
    """`did you mean 'x'?` where one of `names` is near, else the list of them."""
    table = sorted(names)
    near = get_close_matches(str(wrong), table, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(table)}"
