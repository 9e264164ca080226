"""Objects as text and files, the same bytes each time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from inferencegraph.build.annotated import annotated
from predictors.errors import ConfigurationError

KUSTOMIZATION = "kustomization.yaml"


def to_text(objects: Sequence[dict[str, Any]]) -> str:
    """A stream of YAML documents."""
    return "---\n".join(annotated(content) for content in objects)


def to_folder(objects: Sequence[dict[str, Any]], folder: Path, *, kustomize: bool) -> list[Path]:
    """Writes a file for each object, by kind and name. Raises ConfigurationError where it can't."""
    texts = {file_name(content): annotated(content) for content in objects}
    if kustomize:
        fields = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": list(texts),
        }
        texts[KUSTOMIZATION] = yaml.safe_dump(fields, sort_keys=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror or error}") from error
    return [folder / name for name in texts]


def file_name(content: dict[str, Any]) -> str:
    """`qa-edge.yaml`; `qa-graph.yaml` for a graph; other kinds with the kind behind the name."""
    kind, name = content["kind"], content["metadata"]["name"]
    suffix = {"InferenceService": "", "InferenceGraph": "-graph"}.get(kind, f"-{kind.lower()}")
    return f"{name}{suffix}.yaml"
