"""Specs and other files as the tests write them."""

from pathlib import Path
from typing import Any

import yaml

from inferencegraph.check.problem import Problem
from inferencegraph.check.validate import validate
from inferencegraph.read.documents import objects
from inferencegraph.spec.reading import Expanded, expanded

Object = dict[str, Any]


def read(*contents: Object, folder: Path = Path()) -> Expanded:
    """As if they stood in one file of that folder."""
    return expanded(objects(yaml.safe_dump_all(contents), folder / "spec.yaml"))


def told(read: Expanded, severity: str) -> list[str]:
    return [f"{each.field}: {each.message}" for each in read.problems if each.severity == severity]


def errors_of(read: Expanded) -> list[Problem]:
    """What `hem validate` says is wrong, in the specs and in the objects."""
    found = validate([each.content for each in read.documents])
    return [each for each in [*read.problems, *found] if each.severity == "error"]


def by_name(read: Expanded) -> dict[str, Object]:
    """Kind/name -> object."""
    contents = [each.content for each in read.documents]
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in contents}


def service(read: Expanded, name: str, role: str = "predictor") -> Object:
    component: Object = by_name(read)[f"InferenceService/{name}"]["spec"][role]
    return component


def engine_file(read: Expanded, name: str) -> Object:
    """The options in the file of a ConfigMap with that name."""
    values: Object = yaml.safe_load(by_name(read)[f"ConfigMap/{name}"]["data"]["config.yaml"])
    return values


def variables(container: Object) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def spec(edge: Object | None = None, cloud: Object | None = None, **fields: Any) -> Object:
    """The embedded pair, with more fields for either worker."""
    sampling = {"temperature": 0, "max_tokens": 64, "repetition_penalty": 1.0}
    small = {"model": {"file": "embedded:edge"}, "sampling": sampling}
    large = {"model": {"file": "embedded:cloud"}, "sampling": sampling}
    mining = {"hardExampleMining": {"name": "LinearRouter", "router": "embedded:linear"}}
    return {
        "apiVersion": "kserve-hem.io/v1alpha1",
        "kind": "LLMJointInferenceService",
        "metadata": {"name": "shop"},
        "spec": {
            "edgeWorker": {**small, **mining, **(edge or {})},
            "cloudWorker": {**large, **(cloud or {})},
            **fields,
        },
    }
