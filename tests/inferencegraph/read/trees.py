"""Small trees of manifests, and what reading them refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.read.kustomize import load
from predictors.errors import ConfigurationError

GRAPH: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1alpha1",
    "kind": "InferenceGraph",
    "metadata": {"name": "qa"},
    "spec": {"nodes": {"root": {"routerType": "Sequence"}}},
}
SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "qa-edge"},
    "spec": {
        "predictor": {
            "initContainers": [{"image": "busybox:1"}],
            "containers": [{"image": "kserve-hem-predictor"}, {"image": "other/name:2"}],
        }
    },
}


def write(path: Path, *contents: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(contents))
    return path


def kustomization(folder: Path, **fields: Any) -> Path:
    write(folder / "kustomization.yaml", fields)
    return folder


def component(folder: Path, **fields: Any) -> Path:
    version = "kustomize.config.k8s.io/v1alpha1"
    return kustomization(folder, apiVersion=version, kind="Component", **fields)


def images(content: dict[str, Any]) -> list[str]:
    return [container["image"] for container in content["spec"]["predictor"]["containers"]]


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)
