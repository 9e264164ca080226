"""The CustomResourceDefinition: structural, and taking every spec as it is written."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from inferencegraph.check.definitions.definition import Definition
from inferencegraph.check.definitions.reading import definitions_of
from inferencegraph.spec.kinds import KIND
from inferencegraph.spec.schema import crd
from inferencegraph.spec.service import API_VERSION, parsed
from tests.conftest import ROOT
from tests.inferencegraph.spec.documents import spec
from tests.inferencegraph.spec.strategies import loose_specs

EXAMPLES = 300
[DEFINITION] = definitions_of(crd(), Path("crd.yaml"))
WRITTEN = [
    path
    for folder in ("manifests/specs", "manifests/setups", "tests/data/specs")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if KIND in path.read_text()
]


def refused(content: dict[str, Any], definition: Definition = DEFINITION) -> list[str]:
    """By the schema with strict fields, so that nothing is cut off either."""
    asked = {**content, "apiVersion": API_VERSION}
    return [f"{each.field}: {each.message}" for each in definition.findings(asked)]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_spec_of_the_project_is_taken_as_it_is_written(path: Path) -> None:
    for content in yaml.safe_load_all(path.read_text()):
        if content and content["kind"] == KIND:
            assert parsed(content)[0] is not None
            assert refused(content) == []


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(loose_specs())
def test_whatever_is_read_is_taken_as_it_is_written(content: dict[str, Any]) -> None:
    assert parsed(content) == (parsed(content)[0], [])
    assert refused(content) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (spec({"modle": {}}), "spec.edgeWorker.modle: unknown field 'modle'"),
        (spec({"replicas": "two"}), "spec.edgeWorker.replicas: must be a whole number"),
        (spec({"sampling": {"max_tokens": 0}}), "spec.edgeWorker.sampling.max_tokens: must be at"),
        (spec(deploymentMode="click"), "spec.deploymentMode: unknown value 'click'"),
        (spec({"autoscaling": {"metric": "cpu"}}), "spec.edgeWorker.autoscaling: fits none of"),
        ({**spec(), "spec": None}, "spec: is empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_misspelt_or_mistyped_is_refused(spec: dict[str, Any], told: str) -> None:
    [said] = refused(spec)
    assert said.startswith(told)


# -- structural ------------------------------------------------------------------------------------
# As validateStructuralInvariants, validateGeneric, validateExtensions and validateValueValidation
# of k8s.io/apiextensions-apiserver/pkg/apiserver/schema/validation.go, 1.34.

_TYPES = ("object", "array", "string", "integer", "number", "boolean")
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_FORBIDDEN = (
    *("$ref", "$schema", "$id", "id", "definitions", "$defs", "dependencies", "patternProperties"),
    *("additionalItems", "const", "prefixItems", "propertyNames", "uniqueItems"),
)
# Beside these, a schema may hold only values' rules.
_STRUCTURE = ("type", "title", "description", "default", "nullable", "additionalProperties")
_VALUES = (
    *("enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength"),
    *("maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum"),
    *("multipleOf", "not", "pattern", "required", "items", "properties", *_JUNCTORS),
)
PRESERVE, INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"


def not_structural(schema: Any, path: str = "", *, nested: bool = False) -> Iterator[str]:
    """nested: inside a junctor, where only values have rules."""
    for key in schema:
        if key in _FORBIDDEN:
            yield f"{path}: has {key}"
        elif not (key in _VALUES or key in _STRUCTURE or key.startswith("x-kubernetes-")):
            yield f"{path}: has {key}, which OpenAPI v3 in a CRD does not have"
        elif nested and (key in _STRUCTURE or key.startswith("x-kubernetes-")):
            yield f"{path}: has {key} inside a junctor"
    if not nested:
        yield from _without_type(schema, path)
    if schema.get(PRESERVE, True) is not True:
        yield f"{path}: {PRESERVE} is true or absent"
    if schema.get(INT_OR_STRING) and "type" in schema:
        yield f"{path}: {INT_OR_STRING} has no type beside it"
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if not isinstance(schema.get(bound, False), bool):
            yield f"{path}: {bound} is a switch in OpenAPI v3.0"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties and additionalProperties exclude each other"
    if not isinstance(schema.get("additionalProperties", {}), dict):
        yield f"{path}: additionalProperties is no schema"
    yield from _parts_not_structural(schema, path, nested)


def _without_type(schema: Any, path: str) -> Iterator[str]:
    if "type" not in schema and not (path and (schema.get(PRESERVE) or schema.get(INT_OR_STRING))):
        yield f"{path or 'the root'}: has no type"
    if "type" in schema and schema["type"] not in _TYPES:
        yield f"{path}: has the type {schema['type']}"
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        yield f"{path}: an array needs items, one schema"
    if schema.get("type") != "array" and "items" in schema:
        yield f"{path}: items belong to arrays"


def _parts_not_structural(schema: Any, path: str, nested: bool) -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        at = f"{path}.{name}"
        if at == ".metadata" and not nested:
            if part.get("type") != "object" or set(part.get("properties", {})) - {"name"}:
                yield f"{at}: is an object, with rules on its name alone"
        else:
            yield from not_structural(part, at, nested=nested)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from not_structural(schema[key], f"{path}.{key}", nested=nested)
    branches = [each for key in _JUNCTORS for each in schema.get(key, ())]
    for branch in [*branches, *([schema["not"]] if "not" in schema else ())]:
        if not schema.get(INT_OR_STRING):
            yield from not_structural(branch, f"{path} (junctor)", nested=True)
            yield from _incomplete(branch, schema, path)


def _incomplete(branch: Any, whole: Any, path: str) -> Iterator[str]:
    """What a junctor has rules on stands outside it as well."""
    for name, part in branch.get("properties", {}).items():
        outside = whole.get("properties", {}).get(name)
        if outside is None:
            yield f"{path}.{name}: stands in a junctor alone"
        else:
            yield from _incomplete(part, outside, f"{path}.{name}")


def schema_of(definition: dict[str, Any]) -> Any:
    [version] = definition["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def test_the_crd_is_structural() -> None:
    assert list(not_structural(schema_of(crd()))) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"anyOf": [{"type": "string"}]}, "has type inside a junctor"),
        ({"type": None}, "has no type"),
        ({"additionalProperties": False, "properties": None}, "additionalProperties is no schema"),
        ({"exclusiveMinimum": 0}, "is a switch"),
        ({"$ref": "#/$defs/x"}, "has $ref"),
        ({"x-kubernetes-preserve-unknown-fields": False}, "is true or absent"),
        ({"oneOf": [{"properties": {"z": {}}}]}, "stands in a junctor alone"),
        ({"additionalProperties": {"type": "string"}}, "exclude each other"),
    ],
    ids=str,
)
def test_the_check_for_structure_can_fail(change: dict[str, Any], told: str) -> None:
    schema = copy.deepcopy(schema_of(crd()))
    part = schema["properties"]["spec"]
    for key, value in change.items():
        part.pop(key, None)
        if value is not None:
            part[key] = value
    assert told in " ".join(not_structural(schema))


def test_kserves_own_crds_are_structural_by_the_same_check(shared: Path) -> None:
    for path in sorted((shared / "crds").glob("*.yaml")):
        for content in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
            for version in content["spec"]["versions"]:
                assert list(not_structural(version["schema"]["openAPIV3Schema"])) == [], path.name


def test_it_fits_into_the_annotation_that_kubectl_apply_writes() -> None:
    assert len(str(crd())) < 256 * 1024
