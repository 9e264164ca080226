"""What is wrong in a spec: the field's path, and the way out."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from inferencegraph.check.problem import Finding, error
from predictors.errors import ConfigurationError, known

T = TypeVar("T")
PLACEHOLDER: Final = "..."  # as examples in documents have it


class SpecFault(ConfigurationError):
    """One field of a spec that can't be rendered."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message


class SpecFaults(Exception):
    """Every fault that was found in one spec."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(f"{f.field}: {f.message}" for f in findings))
        self.findings = findings


class Collector:
    """Gathers the faults of parts that don't depend on each other."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def get(self, make: Callable[[], T]) -> T | None:
        """What `make` gives, or None where it finds a fault."""
        try:
            return make()
        except SpecFault as fault:
            self.findings.append(error(fault.field, fault.message))
            return None


@contextmanager
def at(field: str) -> Iterator[None]:
    """Names the field where a ConfigurationError of another room is raised inside."""
    try:
        yield
    except SpecFault:
        raise
    except ConfigurationError as fault:
        raise SpecFault(field, str(fault)) from None


def findings_of(fault: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """Every fault of a document, with the path of its field as it is written."""
    found = []
    for item in fault.errors(include_url=False):
        path = _path(item["loc"])
        found.append(error(path or "the document", _message(item, model)))
    return found


def without_strangers(content: Mapping[str, Any], fault: ValidationError) -> dict[str, Any]:
    """A copy of the document without the fields that are placeholders or that nobody knows."""
    rest = copy.deepcopy(dict(content))
    for item in fault.errors(include_url=False):
        if item["type"] == "extra_forbidden" or item["input"] == PLACEHOLDER:
            part: Any = rest
            for name in item["loc"][:-1]:
                part = part[name]
            if isinstance(part, dict):
                part.pop(item["loc"][-1], None)
    return rest


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _message(item: Any, model: type[BaseModel]) -> str:
    value, kind = item["input"], item["type"]
    if kind == "extra_forbidden":
        return f"unknown field {item['loc'][-1]!r}; {known(item['loc'][-1], _names(item, model))}"
    if kind == "missing":
        return "is required"
    if value == PLACEHOLDER:
        return "is a placeholder; write the value, or leave the field out"
    message = str(item["msg"]).removeprefix("Value error, ")
    if isinstance(value, str | int | float | bool) or value is None:
        return f"{value!r}: {message}"
    return message


def _names(item: Any, model: type[BaseModel]) -> list[str]:
    """The fields that there are beside the unknown one."""
    part: Any = model
    for name in item["loc"][:-1]:
        if isinstance(name, int):
            continue
        field = next((f for own, f in part.model_fields.items() if name in (own, f.alias)), None)
        part = field and _part_of(field.annotation)
        if part is None:
            return []
    return [field.alias or name for name, field in part.model_fields.items()]


def _part_of(annotation: Any) -> Any:
    """The model inside an annotation such as `Edge | None` or `tuple[Node, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _part_of(inner)) is not None:
            return found
    return None
