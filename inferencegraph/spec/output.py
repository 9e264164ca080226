"""Objects as text and files, the same bytes each time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from inferencegraph.build.annotated import annotated
from inferencegraph.read.documents import Document
from predictors.errors import ConfigurationError

KUSTOMIZATION = "kustomization.yaml"


def to_text(documents: Sequence[Document]) -> str:
    """A stream of YAML documents."""
    return "---\n".join(annotated(each.content, each.origins) for each in documents)


def to_folder(documents: Sequence[Document], folder: Path, *, kustomize: bool) -> list[Path]:
    """Writes a file for each object, by kind and name. Raises ConfigurationError where it can't."""
    texts = {file_name(each.content): annotated(each.content, each.origins) for each in documents}
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
