"""Objects by the CRDs of a folder: what the API server would refuse by its schema, and no more."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from inferencegraph.check.definitions.checking import Definitions
from inferencegraph.check.definitions.reading import read_definitions
from inferencegraph.check.problem import Problem
from inferencegraph.check.validate import validate
from inferencegraph.cli import app
from inferencegraph.read.documents import read
from predictors.errors import ConfigurationError

# As controller-gen writes it.
QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|"
    r"([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size", "mode"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
                "port": {"x-kubernetes-int-or-string": True},
                "memory": {
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                    "pattern": QUANTITY,
                    "x-kubernetes-int-or-string": True,
                },
                "share": {
                    "type": "number",
                    "minimum": 0,
                    "exclusiveMinimum": True,
                    "maximum": 1,
                },
                "count": {"type": "integer", "format": "int32"},
                "host": {"type": "string", "pattern": "^[a-z.]+$", "maxLength": 8},
                "until": {"type": "string", "format": "date-time"},
                "note": {"type": "string", "nullable": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "boolean"}},
                },
                "empty": {"type": "object"},
                "object": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
                "names": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "maxItems": 2,
                    "items": {"type": "string"},
                },
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port", "protocol"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "one": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                    "not": {"properties": {"a": {"enum": ["no"]}}, "required": ["a"]},
                },
            },
            "x-kubernetes-validations": [{"rule": "self.size < 5"}],
        }
    },
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {
        "group": "example.org",
        "names": {"kind": "Thing"},
        "versions": [
            {"name": "v1", "served": True, "schema": {"openAPIV3Schema": SCHEMA}},
            {"name": "v0", "served": False, "schema": {"openAPIV3Schema": SCHEMA}},
        ],
    },
}


def thing(version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"example.org/{version}",
        "kind": "Thing",
        "metadata": {"name": "a"},
        "spec": {"size": 1, **spec},
    }


@pytest.fixture
def crds(tmp_path: Path) -> Path:
    folder = tmp_path / "crds"
    folder.mkdir()
    (folder / "thing.yaml").write_text(yaml.safe_dump(CRD))
    return folder


def found(crds: Path, *contents: dict[str, Any]) -> list[Problem]:
    return validate(contents, definitions=Definitions(read_definitions(crds)))


def errors(crds: Path, *contents: dict[str, Any]) -> list[str]:
    told = found(crds, *contents)
    return [f"{each.field}: {each.message}" for each in told if each.severity == "error"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"size": "1"}, "spec.size: must be a whole number, not '1'"),
        ({"size": True}, "spec.size: must be a whole number, not True"),
        ({"size": None}, "spec.size: is empty; write a whole number, or leave the field out"),
        ({"size": 0}, "spec.size: must be at least 1: 0"),
        ({"size": 10}, "spec.size: must be at most 9: 10"),
        ({"mode": "fats"}, "spec.mode: unknown value 'fats'; did you mean 'fast'?"),
        ({"mode": 1}, "spec.mode: must be a string, not 1; write '1' in quotes"),
        ({"modes": "fast"}, "spec.modes: unknown field 'modes'; "),
        ({"port": 1.5}, "spec.port: must be a whole number or a string, not 1.5"),
        ({"memory": "2 Gi"}, "spec.memory: '2 Gi' is not a quantity such as 500m, 2 or 4Gi"),
        ({"share": 0}, "spec.share: must be above 0"),
        ({"share": 1.5}, "spec.share: must be at most 1"),
        ({"count": 2**31}, "spec.count: must be at most 2147483647"),
        ({"host": "A"}, "spec.host: 'A' does not match ^[a-z.]+$"),
        ({"host": "a" * 9}, "spec.host: is too long; at most 8 characters"),
        ({"until": "tomorrow"}, "spec.until: 'tomorrow' is not a date-time"),
        ({"labels": {"a": 1}}, "spec.labels.a: must be a string, not 1; write '1' in quotes"),
        ({"free": {"known": "yes"}}, "spec.free.known: must be true or false, not 'yes'"),
        ({"empty": {"a": 1}}, "spec.empty.a: unknown field 'a'"),
        ({"object": {"sepc": {}}}, "spec.object.sepc: unknown field 'sepc'"),
        ({"names": ["a", "a"]}, "spec.names: has the same item twice; keep one"),
        ({"names": ["a", "b", "c"]}, "spec.names: has too many items; at most 2"),
        ({"names": "a"}, "spec.names: must be a list, not 'a'"),
        (
            {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 1}]},
            "spec.ports: has two items with port 1 and protocol 'TCP'; keep one",
        ),
        ({"ports": [{}]}, "spec.ports[0].port: is missing, but required"),
        ({"one": {}}, "spec.one: fits none of the possible shapes: "),
        ({"one": {"a": "x", "b": "x"}}, "spec.one: fits more than one of the shapes"),
        ({"one": {"a": "no"}}, "spec.one: {'a': 'no'} is what the schema excludes"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value)[:30],
)
def test_each_rule_of_the_schema_is_an_error_with_its_field(
    spec: dict[str, Any], told: str, crds: Path
) -> None:
    [said] = errors(crds, thing(**spec))
    assert said.startswith(told)


@pytest.mark.parametrize(
    "spec",
    [
        {"port": 80},
        {"port": "http"},
        {"memory": 2},
        {"memory": "2Gi"},
        {"note": None},
        {"labels": {"a": "b"}, "empty": {}},
        {"free": {"known": True, "unknown": [1]}},
        {"object": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "b"}, "spec": {}}},
        {"ports": [{"port": 1}, {"port": 1, "protocol": "UDP"}]},
        {"one": {"a": "yes"}},
        {"count": -(2**31), "share": 0.5, "until": "2026-08-21T10:00:00Z"},
    ],
    ids=str,
)
def test_what_the_api_server_takes_is_no_error(spec: dict[str, Any], crds: Path) -> None:
    assert errors(crds, thing(**spec)) == []


def test_a_field_that_is_needed_is_not_where_it_has_a_default(crds: Path) -> None:
    content = thing()
    del content["spec"]["size"]
    assert errors(crds, content) == ["spec.size: is missing, but required"]  # and not `mode`


def test_metadata_is_the_api_servers_own(crds: Path) -> None:
    content = thing()
    content["metadata"]["lables"] = {}
    [said] = errors(crds, content)
    assert said.startswith("metadata.lables: unknown field 'lables'")


def test_rules_in_cel_are_named_in_one_note(crds: Path) -> None:
    told = [each for each in found(crds, thing(), {**thing(), "metadata": {"name": "b"}})]
    assert [(each.severity, each.rule) for each in told] == [("note", "schema")]
    assert "1 rules of Thing's CRD are in CEL and not checked" in told[0].message


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v2", "apiVersion: example.org has no Thing in version 'v2'; its CRD has v0, v1"),
        ("v0", "apiVersion: example.org/v0 is not served any more"),
    ],
)
def test_a_version_that_is_not_served(version: str, told: str, crds: Path) -> None:
    assert errors(crds, thing(version)) == [told]


def test_the_line_is_the_fields(crds: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(thing(ports=[{"port": 1}, {"port": "x"}]), sort_keys=False))
    documents = read(file)
    [problem] = [
        each
        for each in validate(
            [each.content for each in documents],
            documents,
            definitions=Definitions(read_definitions(crds)),
        )
        if each.severity == "error"
    ]
    assert problem.line is not None
    assert file.read_text().splitlines()[problem.line - 1].strip() == "- port: x"


def test_a_folder_is_searched_for_all_forms(tmp_path: Path) -> None:
    def named(kind: str) -> dict[str, Any]:
        made = copy.deepcopy(CRD)
        made["spec"]["names"]["kind"] = kind  # type: ignore[index]
        return made

    deep = tmp_path / "a/b"
    deep.mkdir(parents=True)
    (deep / "one.yaml").write_text(yaml.safe_dump_all([named("One"), named("Two")]))
    (deep / "three.json.gz").write_bytes(gzip.compress(json.dumps(named("Three")).encode()))
    items = {"apiVersion": "v1", "kind": "List", "items": [named("Four")]}
    (tmp_path / "list.json").write_text(json.dumps(items, indent="\t"))
    (tmp_path / "values.yaml").write_text("{{ nothing that could be read }}")
    (tmp_path / "notes.txt").write_text("CustomResourceDefinition")
    kinds = {each.kind for each in read_definitions(tmp_path)}
    assert kinds == {"One", "Two", "Three", "Four"}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.yaml", b"kind: ConfigMap", "no CustomResourceDefinition in there; kubectl get crd"),
        ("a.yaml", b"kind: CustomResourceDefinition: x", "can't be read"),
        ("a.yaml", b"\xff", "not UTF-8 text"),
        ("a.json", b"{CustomResourceDefinition", "can't be read"),
        ("a.json.gz", b"CustomResourceDefinition", "Not a gzipped file"),
        ("a.yaml", b"kind: CustomResourceDefinition", "is None; only apiextensions.k8s.io/v1"),
        (
            "a.yaml",
            b"{kind: CustomResourceDefinition, apiVersion: apiextensions.k8s.io/v1,"
            b" spec: {group: a.b, names: {kind: X}, versions: [{name: v1}]}}",
            "has no group, kind, version or schema",
        ),
    ],
)
def test_a_file_that_is_none_is_told(name: str, data: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigurationError, match=name) as refused:
        read_definitions(tmp_path / name)
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_definitions(tmp_path / "absent")


def test_a_schema_that_is_none_is_told(tmp_path: Path) -> None:
    broken = copy.deepcopy(CRD)
    version: Any = broken["spec"]["versions"][0]  # type: ignore[index]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["host"] = {
        "type": "string",
        "pattern": "(",
    }
    (tmp_path / "a.json").write_text(json.dumps(broken))
    with pytest.raises(ConfigurationError, match=r"a\.json: the schema of Thing is none"):
        found(tmp_path / "a.json", thing())


def test_the_command_takes_folders_and_says_what_is_wrong(crds: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(thing(modes="fast")))
    result = CliRunner().invoke(app, ["validate", "-f", str(file), "--crds", str(crds)])
    assert result.exit_code == 1
    first, second, last = result.output.splitlines()
    assert first.startswith(f"error: {file}:6: Thing/a: spec.modes: unknown field")
    assert first.endswith("did you mean 'mode'? [schema]")
    assert second.startswith("note: ")
    assert last == "1 objects, 1 errors, 0 warnings, 1 notes"


def test_the_crd_takes_the_place_of_the_fields_that_are_known_here(tmp_path: Path) -> None:
    """A field of a newer KServe is no error then, and what the CRD lacks is one."""
    crd = copy.deepcopy(CRD)
    crd["spec"] |= {"group": "serving.kserve.io", "names": {"kind": "ServingRuntime"}}  # type: ignore[operator]
    known = {"containers": {}, "supportedModelFormats": {}, "newer": {"type": "string"}}
    spec = {"type": "object", "properties": known}
    crd["spec"]["versions"] = [  # type: ignore[index]
        {
            "name": "v1alpha1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        }
    ]
    (tmp_path / "a.json").write_text(json.dumps(crd))
    content = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {"name": "a"},
        "spec": {
            "containers": [{"name": "kserve-container", "image": "x"}],
            "supportedModelFormats": [{"name": "x"}],
            "newer": "x",
            "multiModel": False,
        },
    }
    assert [said.split(";")[0] for said in errors(tmp_path, content)] == [
        "spec.multiModel: unknown field 'multiModel'"
    ]
