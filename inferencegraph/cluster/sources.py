"""Manifests and specs from files, checked, ready to be sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferencegraph.check.problem import Problem
from inferencegraph.check.validate import validate
from inferencegraph.read.documents import Document
from inferencegraph.read.kustomize import load_documents
from inferencegraph.spec.reading import expanded
from predictors.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Sources:
    """`documents`: the objects, with those that specs stand for. `specs`: the specs themselves.
    `warnings`: what may not work."""

    documents: list[Document]
    specs: list[Document]
    warnings: list[Problem]


def read_sources(paths: Sequence[Path]) -> Sources:
    """Raises ConfigurationError with every error, one on a line."""
    read = expanded([document for path in paths for document in load_documents(path)])
    contents = [document.content for document in read.documents]
    problems = read.problems + validate(contents, read.documents)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise ConfigurationError("\n".join([*errors, "nothing was sent to the cluster"]))
    warnings = [problem for problem in problems if problem.severity == "warning"]
    return Sources(read.documents, read.specs, warnings)
