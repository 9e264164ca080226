"""The spec's JSON Schema for editors, and its CustomResourceDefinition."""

from typing import Any, Final

from inferencegraph.check.definitions.schema import PRESERVE
from inferencegraph.spec.kinds import KIND
from inferencegraph.spec.service import API_VERSION, LLMJointInferenceService

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PLURAL: Final = "llmjointinferenceservices"
# What a structural schema has no place for.
_LEFT_OUT: Final = ("title", "default", "examples", "$defs")
_EITHER: Final = "allOf"  # one of two names of a required field; nothing else of ours has it
_ANYTHING: Final = {PRESERVE: True}
_FREE: Final = {"type": "object", **_ANYTHING}
_CONDITION: Final = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {
        "type": {"type": "string", "enum": ["Pending", "Running", "Failed"]},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "lastHeartbeatTime": {"type": "string", "format": "date-time"},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "reason": {"type": "string"},
        "message": {"type": "string"},
    },
}
# The document's status; URL, edge share and cost stand beside it.
STATUS: Final = {
    "type": "object",
    PRESERVE: True,
    "properties": {
        "conditions": {"type": "array", "items": _CONDITION},
        "startTime": {"type": "string", "format": "date-time"},
        "active": {"type": "integer", "format": "int32"},
        "failed": {"type": "integer", "format": "int32"},
        "metrics": {"type": "array", "items": _FREE},
        "url": {"type": "string"},
        "edgeShare": {"type": "number"},
        "cost": {"type": "number"},
    },
}


def json_schema() -> dict[str, Any]:
    """Of a whole document, by the names that are written in YAML."""
    schema = LLMJointInferenceService.model_json_schema(by_alias=True)
    return {"$schema": DIALECT, "$id": f"https://{API_VERSION}/{KIND}.json", **schema}


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition, with a status subresource. It takes every spec that is
    rendered, as it is written; what is wrong in one beyond types and names, `hem` says."""
    group, version = API_VERSION.split("/")
    definitions = _by_both_names()
    spec = _structural(definitions["Spec"], definitions)
    columns = [("URL", "url", "string"), ("Edge share", "edgeShare", "number")]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": PLURAL[:-1],
                "shortNames": ["llmji"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": f".status.{field}"}
                        for name, field, kind in columns
                    ],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": STATUS,
                            },
                        }
                    },
                }
            ],
        },
    }


def _by_both_names() -> dict[str, Any]:
    """The parts of a spec, each field by its name in YAML and by its own, which is read as well:
    a name that a CRD does not have is refused, or cut off in silence."""
    ours, own = (
        LLMJointInferenceService.model_json_schema(by_alias=by_alias)["$defs"]
        for by_alias in (True, False)
    )
    for name, part in ours.items():
        if "properties" in part:
            pairs = dict(zip(part["properties"], own[name]["properties"], strict=True))
            _add_own_names(part, {key: value for key, value in pairs.items() if key != value})
    return dict(ours)


def _add_own_names(part: dict[str, Any], names: dict[str, str]) -> None:
    """names: of fields in YAML -> their own."""
    properties = part["properties"]
    for name, own in names.items():
        same = properties[name] if _is_plain(properties[name]) else _ANYTHING
        properties[own] = {**same, "description": f"the same as {name}"}
    doubled = [name for name in part.get("required", ()) if name in names]
    if doubled:
        part["required"] = [name for name in part["required"] if name not in doubled]
        part[_EITHER] = [
            {"anyOf": [{"required": [name]}, {"required": [names[name]]}]} for name in doubled
        ]


def _is_plain(schema: dict[str, Any]) -> bool:
    """Whether it has no parts, whose doubles would double again."""
    options = schema.get("anyOf", [schema])
    return all(each.get("type") not in (None, "array", "object") for each in options)


def _structural(schema: Any, definitions: dict[str, Any]) -> Any:
    """A JSON Schema as a CRD takes it: references in place, one type each, null as nullable."""
    if isinstance(schema, list):
        return [_structural(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if PRESERVE in schema:
        return dict(schema)
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _structural({**target, **rest}, definitions)
    if "anyOf" in schema:
        return _choice(schema, definitions)
    made = {
        key: {name: _structural(each, definitions) for name, each in value.items()}
        if key == "properties"
        else value
        if key == _EITHER
        else _structural(value, definitions)
        for key, value in schema.items()
        if key not in _LEFT_OUT and not (key == "additionalProperties" and value is False)
    }
    if not made.get("required", True):
        del made["required"]
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if "exclusiveMinimum" in made:
        made |= {"minimum": made["exclusiveMinimum"], "exclusiveMinimum": True}
    if "exclusiveMaximum" in made:
        made |= {"maximum": made["exclusiveMaximum"], "exclusiveMaximum": True}
    if made.get("additionalProperties") is True:
        made.pop("additionalProperties")
        made[PRESERVE] = True
    return made


def _choice(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One of several: the one beside null, or any value of several types."""
    options = [each for each in schema["anyOf"] if each.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", *_LEFT_OUT)}
    one = _structural(options[0], definitions) if len(options) == 1 else _ANYTHING
    nullable = len(options) < len(schema["anyOf"])
    return {**one, **rest, **({"nullable": True} if nullable else {})}
