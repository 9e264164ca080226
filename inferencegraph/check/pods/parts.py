"""Reading lists, and the rules that many fields share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from inferencegraph.check.containers import mapping, sequence
from inferencegraph.check.pods.syntax import LABEL_VALUE, PORT_NAME, QUALIFIED_NAME, Syntax
from inferencegraph.check.problem import Finding, error, unknown

Part = Mapping[str, Any]

_PORTS: Final = (1, 65535)
REQUIRED: Final = "is missing, but required"


def parts(value: Any, field: str) -> Iterator[tuple[Part, str]]:
    """Each mapping of a list, with its field."""
    for index, item in enumerate(sequence(value)):
        if isinstance(item, dict):
            yield item, f"{field}[{index}]"


def whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def check_required(part: Part, field: str, names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        if part.get(name) in (None, "", []):
            yield error(f"{field}.{name}", REQUIRED)


def check_choices(
    part: Part, field: str, choices: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    for name, allowed in choices.items():
        value = part.get(name)
        if isinstance(value, str) and value and value not in allowed:
            yield unknown(_join(field, name), "value", value, allowed)


def check_syntax(part: Part, field: str, syntaxes: Mapping[str, Syntax]) -> Iterator[Finding]:
    """Of fields that may be absent or empty."""
    for name, syntax in syntaxes.items():
        if part.get(name) and (fault := syntax.fault(part[name])):
            yield error(_join(field, name), fault)


def check_ranges(
    part: Part, field: str, ranges: Mapping[str, tuple[int, int]]
) -> Iterator[Finding]:
    for name, (low, high) in ranges.items():
        value = whole(part.get(name))
        if value is not None and not low <= value <= high:
            yield error(_join(field, name), f"is {value}; it must be {low} to {high}")


def check_unique(items: Any, field: str, name: str) -> Iterator[Finding]:
    """That no two parts of a list have the same value of a field; absent ones don't count."""
    seen: list[Any] = []
    for part, at in parts(items, field):
        value = part.get(name)
        if value not in (None, "") and value in seen:
            yield error(f"{at}.{name}", f"{value!r} is there twice")
        seen.append(value)


def check_port(value: Any, field: str) -> Iterator[Finding]:
    """A port by its number, or by its name: in quotes a number is a name."""
    if isinstance(value, str):
        fault = PORT_NAME.fault(value)
        if fault and value.isdecimal():
            yield error(field, f"is {value!r}; write the number without quotes")
        elif fault:
            yield error(field, fault)
    else:
        yield from check_ranges({"": 0 if value is None else value}, field, {"": _PORTS})


def check_labels(labels: Any, field: str) -> Iterator[Finding]:
    """Labels or a nodeSelector; told at the whole, as names have dots."""
    for name, value in mapping(labels).items():
        if fault := QUALIFIED_NAME.fault(name):
            yield error(field, f"a name {fault}")
        if fault := LABEL_VALUE.fault(value):
            yield error(field, f"{name} {fault}")


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field and name else field or name
