"""KServe's CRDs as JSON Schema, strict as `kubectl apply --validate=strict` is."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

FILES = {
    "InferenceGraph": "inferencegraphs.yaml",
    "InferenceService": "inferenceservices.yaml",
    "ServingRuntime": "servingruntimes.yaml",
    "ClusterServingRuntime": "clusterservingruntimes.yaml",
    "LLMInferenceService": "llminferenceservices.json.gz",
}
# Kinds of others that are rendered beside KServe's.
OTHERS = {"HTTPRoute": "httproutes.yaml"}
KUBERNETES = "1.34"


def spec_schema(crds: Path, kind: str) -> dict[str, Any]:
    """The openAPI schema of one kind, of the version that is stored."""
    return _schema(crds / FILES[kind])


@cache
def _schema(path: Path) -> dict[str, Any]:
    if path.suffix == ".gz":
        crd = json.loads(gzip.decompress(path.read_bytes()))
    else:
        crd = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    (version,) = [version for version in crd["spec"]["versions"] if version["storage"]]
    return version["schema"]["openAPIV3Schema"]


@cache
def _validator(path: Path) -> Draft202012Validator:
    schema = _strict(_schema(path))
    schema["properties"]["metadata"] = {"type": "object"}  # the API server's own, not the CRD's
    return Draft202012Validator(schema)


@cache
def _quick(path: Path) -> Any:
    return jsonschema_rs.Draft202012Validator(_validator(path).schema)


def violations(crds: Path, manifest: dict[str, Any]) -> list[str]:
    """What is wrong, in words; a hundred times faster where nothing is."""
    path = crds / {**FILES, **OTHERS}[manifest["kind"]]
    if _quick(path).is_valid(manifest):
        return []
    found = _validator(path).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in found]


def refused(crds: Path, manifest: dict[str, Any]) -> list[str]:
    """What a CRD, or Kubernetes' own schema, has against it. Raises for a kind of neither."""
    if manifest["kind"] in (*FILES, *OTHERS):
        return violations(crds, manifest)
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as fault:
        return [f"{fault.path}: {fault.message}"]
    return []


def _strict(schema: Any) -> Any:
    """JSON Schema from a Kubernetes structural schema; fields that it doesn't list are refused."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {
        key: {name: _strict(part) for name, part in value.items()}
        if key == "properties"
        else _strict(value)
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in ("description", "default", "format")
    }
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and not open_ended:
        strict.setdefault("additionalProperties", False)
    return strict
