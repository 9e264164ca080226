"""Which manifests to run: the files that were named, or the example that ships with the project."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import inferencegraph
from inferencegraph.check.validate import refuse
from inferencegraph.read.kustomize import load
from predictors.errors import ConfigurationError

MANIFESTS = Path(inferencegraph.__path__[0]).parent / "manifests"
EXAMPLE = MANIFESTS / "answer-generation" / "mining-then-inference"

Objects = list[dict[str, Any]]


def read_manifests(paths: Sequence[Path]) -> Objects:
    """Every object in `paths` (files, folders, kustomizations), validated.

    Raises ConfigurationError with each problem that the validator calls an error.
    """
    documents = [document for path in paths or [EXAMPLE] for document in load(path)]
    refuse(documents)
    return documents


def chosen_graphs(documents: Objects, name: str | None) -> Objects:
    """All InferenceGraphs, or the one called `name`."""
    graphs = [document for document in documents if document["kind"] == "InferenceGraph"]
    if name is None:
        return graphs
    chosen = [graph for graph in graphs if graph["metadata"]["name"] == name]
    if not chosen:
        known = ", ".join(graph["metadata"]["name"] for graph in graphs) or "none"
        raise ConfigurationError(f"unknown graph {name!r}; in these manifests: {known}")
    return chosen
