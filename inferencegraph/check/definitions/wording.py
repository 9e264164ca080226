"""What a violation of a schema becomes: what is wrong, and the way out."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from inferencegraph.check.fields import mistyped
from inferencegraph.check.problem import Finding, error, unknown

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

_WORDS: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "string": "a string",
}
# Keyword -> what is asked, with the limit of the schema.
_LIMITS: Final = {
    "exclusiveMaximum": "must be below {}",
    "exclusiveMinimum": "must be above {}",
    "maxItems": "has too many items; at most {}",
    "maxLength": "is too long; at most {} characters",
    "maxProperties": "has too many entries; at most {}",
    "maximum": "must be at most {}",
    "minItems": "has too few items; at least {}",
    "minLength": "is too short; at least {} characters",
    "minProperties": "has too few entries; at least {}",
    "minimum": "must be at least {}",
}
# How controller-gen writes the pattern of a quantity.
_QUANTITY: Final = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|"
_LONGEST: Final = 60  # characters of a value that are shown


def worded(violation: "ValidationError", schema: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings at their fields; `schema` is the whole one."""
    field, value, kind = _field(violation), violation.instance, violation.kind
    told = kind.as_dict()
    match kind.name:
        case "additionalProperties":
            known = _known(violation, schema)
            for name in told["unexpected"]:
                yield unknown(_join(field, name), "field", name, known)
        case "required":
            yield error(_join(field, str(told["property"])), "is missing, but required")
        case "type":
            types = told["types"] if isinstance(told.get("types"), list) else [told["type"]]
            words = " or ".join(
                _WORDS.get(str(each), str(each)) for each in types if each != "null"
            )
            if value is None:
                yield error(field, f"is empty; write {words}, or leave the field out")
            else:
                yield mistyped(value, words, field)
        case "enum":
            options = [each for each in told["options"] if each is not None]
            yield unknown(field, "value", value, map(str, options))
        case "pattern" if str(told["pattern"]).startswith(_QUANTITY):
            yield error(field, f"{value!r} is not a quantity such as 500m, 2 or 4Gi")
        case "pattern":
            yield error(field, f"{_shown(value)} does not match {told['pattern']}")
        case "uniqueItems":
            yield error(field, "has the same item twice; keep one")
        case "format":
            yield error(field, f"{_shown(value)} is not a {told['format']}")
        case limit if limit in _LIMITS:
            about = f": {_shown(value)}" if isinstance(value, str | int | float) else ""
            yield error(field, f"{_LIMITS[limit].format(told['limit'])}{about}")
        case "anyOf" | "oneOf" | "not" as junctor:
            yield error(field or "the object", _alternatives(violation, junctor))
        case _:
            yield error(field or "the object", str(told.get("message") or violation.message))


def _alternatives(violation: "ValidationError", junctor: str) -> str:
    """Of a value that fits none of several shapes, or one that is excluded."""
    branches = getattr(violation.kind, "context", None) or []
    firsts = [f"{_join(_field(each[0]), '')}{each[0].message}" for each in branches if each]
    if junctor == "not":
        return f"{_shown(violation.instance)} is what the schema excludes"
    if not firsts:
        return "fits more than one of the shapes that exclude each other"
    return f"fits none of the possible shapes: {'; or '.join(dict.fromkeys(firsts))}"


def _known(violation: "ValidationError", schema: Mapping[str, Any]) -> list[str]:
    """The fields that there are, where one is unknown."""
    part: Any = schema
    for step in list(violation.schema_path)[:-1]:
        part = part[step]
    return list(part.get("properties") or ())


def _field(violation: "ValidationError") -> str:
    path = ""
    for part in violation.instance_path:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    return path


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
