"""A structural schema of Kubernetes as JSON Schema, as strict as the API server with strict fields.

Kubernetes' side: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from collections.abc import Mapping
from typing import Any, Final

# Keys that tell the items of a list apart: key -> its default, or None.
MAP_KEYS: Final = "x-kubernetes-list-map-keys"
PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
EMBEDDED: Final = "x-kubernetes-embedded-resource"
RULES: Final = "x-kubernetes-validations"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_KEPT: Final = (
    *("enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems"),
    *("minLength", "minProperties", "minimum", "multipleOf", "pattern", "uniqueItems"),
)
_JUNCTORS: Final = ("allOf", "anyOf", "oneOf")
_NUMBERS: Final = {"int32": 2**31, "int64": 2**63}
_OBJECT_FIELDS: Final[Mapping[str, Any]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},  # the API server's own; no CRD says more of it
}

Schema = Mapping[str, Any]


def of_object(schema: Schema) -> dict[str, Any]:
    """Of a CRD's `openAPIV3Schema`."""
    return strict({**schema, "type": "object", EMBEDDED: True})


def strict(schema: Schema, *, closed: bool = True) -> dict[str, Any]:
    """What it takes after defaulting. closed: fields that it doesn't list are refused, which those
    in `anyOf` and its like are not, as they only say more of fields that are listed elsewhere."""
    made = {key: schema[key] for key in _KEPT if key in schema}
    made |= _type(schema)
    for key in _JUNCTORS:
        if key in schema and not (key == "anyOf" and schema.get(INT_OR_STRING)):
            made[key] = [strict(each, closed=False) for each in schema[key]]
    if "not" in schema:
        made["not"] = strict(schema["not"], closed=False)
    for bound in ("Minimum", "Maximum"):
        if schema.get(f"exclusive{bound}") is True:  # OpenAPI's: a switch beside the bound
            made[f"exclusive{bound}"] = made.pop(bound.lower())
    if isinstance(schema.get("items"), dict):
        made["items"] = strict(schema["items"], closed=closed)
        made |= _alike(schema)
    return made | _fields(schema, closed)


def rules_in(schema: Any) -> int:
    """How many rules in CEL it has, all parts together."""
    if isinstance(schema, list):
        return sum(map(rules_in, schema))
    if not isinstance(schema, dict):
        return 0
    own = len(schema.get(RULES) or ()) if isinstance(schema.get(RULES), list) else 0
    return own + sum(rules_in(part) for key, part in schema.items() if key != RULES)


def _type(schema: Schema) -> dict[str, Any]:
    types = [schema["type"]] if "type" in schema else []
    made: dict[str, Any] = {}
    if schema.get(INT_OR_STRING):
        types = ["integer", "string"]
    elif (limit := _NUMBERS.get(str(schema.get("format")))) and types == ["integer"]:
        made["minimum"] = max(-limit, schema.get("minimum", -limit))
        made["maximum"] = min(limit - 1, schema.get("maximum", limit - 1))
    if schema.get("nullable"):
        types = [*types, "null"] if types else []
        if "enum" in schema:
            made["enum"] = [*schema["enum"], None]
    return made | ({"type": types} if types else {})


def _fields(schema: Schema, closed: bool) -> dict[str, Any]:
    """Of a mapping: its fields, those that it needs, and whether there may be others."""
    made: dict[str, Any] = {}
    own = dict(schema.get("properties") or {})
    properties = {name: strict(part, closed=closed) for name, part in own.items()}
    if schema.get(EMBEDDED):
        properties |= _OBJECT_FIELDS
    if properties:
        made["properties"] = properties
    # What has a default is there before the schema is asked.
    needed = [
        name
        for name in schema.get("required") or ()
        if (own.get(name) or {}).get("default") is None
    ]
    if needed:
        made["required"] = needed
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        made["additionalProperties"] = strict(others, closed=closed)
    elif closed and schema.get("type") == "object" and others is None and not schema.get(PRESERVE):
        # Without a list of fields, an empty one: the library then names those that are unknown.
        made |= {"properties": properties, "additionalProperties": False}
    return made


def _alike(schema: Schema) -> dict[str, Any]:
    """Of a list: which of its items may not be the same."""
    kind = schema.get(_LIST_TYPE)
    if kind == "set":
        return {"uniqueItems": True}
    if kind != "map":
        return {}
    fields = schema["items"].get("properties") or {}
    keys = schema.get(MAP_KEYS) or ()
    return {MAP_KEYS: {key: (fields.get(key) or {}).get("default") for key in keys}}
