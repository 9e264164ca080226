"""The published JSON Schema takes what the spec takes."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inferencegraph.read.documents import parse
from inferencegraph.spec.schema import json_schema
from inferencegraph.spec.service import parsed
from tests.conftest import ROOT
from tests.inferencegraph.spec.documents import Object, spec

CAMEL = {"sampling": {"maxTokens": 64}}  # the names that the schema has; others are read, too


def _spec(edge: Object | None = None, **fields: Any) -> Object:
    return spec(edge={**CAMEL, **(edge or {})}, cloud=CAMEL, **fields)


SPECS = sorted((ROOT / "manifests" / "specs").rglob("*.yaml"))
WRITTEN: list[Object] = [
    _spec(edge={"nodes": ["a", {"name": "b", "labels": {"c": "d"}}]}),
    _spec(edge={"resource": {"limits": {"cpu": 2, "memory": "4Gi"}}}),
    _spec(edge={"serviceAccount": "models"}),
    _spec(
        edge={
            "hardExampleMining": {
                "name": "EdgeOnly",
                "guards": [{"name": "RateGuard", "parameters": [{"name": "calls", "value": 5}]}],
                "volumes": [{"mountPath": "/etc/hem", "configMap": "files", "readOnly": True}],
            }
        }
    ),
    _spec(edge={"serviceAccount": {"name": "models", "create": True}}),
    _spec(
        expose={"kind": "ingress", "host": "{site}.example.com", "graph": True},
        networkPolicies={"callers": [{"a": "b"}], "downloadPorts": [443]},
        monitoring={},
    ),
]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_it_takes_the_shipped_specs(path: Path) -> None:
    (content,) = parse(path)
    jsonschema.validate(content, json_schema())


@pytest.mark.parametrize("content", WRITTEN)
def test_it_takes_each_way_in_which_a_field_is_written(content: Object) -> None:
    assert parsed(content)[1] == []
    jsonschema.validate(content, json_schema())


def test_it_refuses_an_unknown_field() -> None:
    with pytest.raises(jsonschema.ValidationError, match="modle"):
        jsonschema.validate(_spec(edge={"modle": {}}), json_schema())
